//! What a list was asked for, for stores that read it folder by folder.

/// What was asked for.
pub(crate) struct Wanted<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) after: &'a str,
}

impl Wanted<'_> {
    /// Whether the page may show it.
    pub(crate) fn key(&self, key: &str) -> bool {
        key.starts_with(self.prefix) && key > self.after
    }

    /// Whether any key that begins with `folder` (which ends with a slash) can be wanted.
    pub(crate) fn folder(&self, folder: &str) -> bool {
        (folder.starts_with(self.prefix) || self.prefix.starts_with(folder))
            && (folder > self.after || self.after.starts_with(folder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_that_can_hold_a_wanted_key_are_read() {
        let read = |prefix, after| {
            let wanted = Wanted { prefix, after };
            let folders = ["a/", "a/1/", "a/10/", "a/2/", "a/2/x/", "b/"];
            folders.into_iter().filter(|folder| wanted.folder(folder)).collect::<Vec<_>>()
        };
        assert_eq!(read("", ""), ["a/", "a/1/", "a/10/", "a/2/", "a/2/x/", "b/"]);
        assert_eq!(read("a/1/", ""), ["a/", "a/1/"]);
        assert_eq!(read("a/1", ""), ["a/", "a/1/", "a/10/"]);
        assert_eq!(read("a/2/x/y", ""), ["a/", "a/2/", "a/2/x/"]);
        assert_eq!(read("", "a/2/w"), ["a/", "a/2/", "a/2/x/", "b/"]);
        assert_eq!(read("a/", "a/10/z"), ["a/", "a/10/", "a/2/", "a/2/x/"]);
        assert_eq!(read("a/", "b"), [""; 0]);
    }
}
