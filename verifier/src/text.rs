//! The Report for people: a page, and its last line is the verdict.

use std::fmt;

use crate::custody::Locks;
use crate::report::CustodyReport;
use crate::{ChainReport, Compared, Finding, Notice, Report, ScopeReport, Trust};

/// Findings that are written out for each report; JSON has them all.
const SHOWN: usize = 20;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_head(f, self)?;
        for chain in &self.chains {
            write_chain(f, chain, self)?;
        }
        if let Some(custody) = &self.custody {
            write_custody(f, custody)?;
        }
        let count = self.findings.len() as u64 + self.findings_left_out;
        match count {
            0 => writeln!(f, "found:   nothing wrong in {}", counted(self.objects, "object"))?,
            1 => writeln!(f, "found:   1 thing wrong in {}", counted(self.objects, "object"))?,
            count => writeln!(f, "found:   {count} things wrong in {}", counted(self.objects, "object"))?,
        }
        let rest: Vec<&Finding> = self
            .first
            .iter()
            .chain(self.findings.iter().filter(|one| Some(*one) != self.first.as_ref()))
            .collect();
        for (nth, finding) in rest.iter().take(SHOWN).enumerate() {
            write_finding(f, if nth == 0 { "first bad place" } else { "then" }, finding)?;
        }
        if count > SHOWN as u64 {
            writeln!(f, "  and {} more: --json lists them", count - SHOWN as u64)?;
        }
        for Notice { chain, text, .. } in &self.notices {
            writeln!(f, "note:    {}: {}", clean(chain), clean(text))?;
        }
        writeln!(f, "This check does not show:")?;
        for open in &self.not_shown {
            writeln!(f, "  {}", clean(open))?;
        }
        writeln!(f, "verdict: {}", self.verdict.words())
    }
}

/// What was checked, when, with what.
fn write_head(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    if !report.archive.is_empty() {
        writeln!(f, "archive: {}", clean(&report.archive))?;
    }
    writeln!(f, "checked: {} by {}, {}", report.checked_at, report.verifier, asked(&report.scope))?;
    let times = |of: fn(&ChainReport) -> &Option<String>| {
        report.chains.iter().filter_map(move |one| of(one).as_ref())
    };
    // RFC 3339 as it is written here sorts as the times do.
    let (from, to) = (times(|one| &one.first_sealed_at).min(), times(|one| &one.last_sealed_at).max());
    let (events, chains) = (counted(report.events, "event"), counted(report.chains.len() as u64, "chain"));
    match from.zip(to) {
        Some((from, to)) => writeln!(f, "         {events} of {chains}, sealed {from} to {to}")?,
        None => writeln!(f, "         {events} of {chains}")?,
    }
    for revoked in &report.revoked {
        writeln!(f, "revoked: {} from size {} on, as --revoked says", clean(&revoked.vkey), revoked.size)?;
    }
    Ok(())
}

fn asked(scope: &ScopeReport) -> String {
    match scope.kind {
        "range" => format!(
            "from {} to {} only",
            scope.from.as_deref().unwrap_or("the beginning"),
            scope.to.as_deref().unwrap_or("the end")
        ),
        "quick" => format!(
            "quickly: names, notes, headers and {} of each chain, drawn with --seed {}",
            counted(scope.sample.unwrap_or(0) as u64, "segment"),
            scope.seed.as_deref().unwrap_or_default()
        ),
        _ => "all of it".to_owned(),
    }
}

fn write_chain(f: &mut fmt::Formatter<'_>, chain: &ChainReport, report: &Report) -> fmt::Result {
    writeln!(f, "chain {}: {}", clean(&chain.origin), chain.verdict.words())?;
    match (&chain.first_sealed_at, &chain.last_sealed_at, chain.first_seq) {
        (Some(from), Some(to), Some(first)) => {
            let (events, segments) = (counted(chain.events, "event"), counted(chain.segments, "segment"));
            writeln!(f, "  read:  {events} in {segments}, from seq {first}, sealed {from} to {to}")?;
        }
        _ => writeln!(f, "  read:  0 events")?,
    }
    if chain.headers > 0 {
        writeln!(f, "  of {} the header alone", counted(chain.headers, "segment"))?;
    }
    if chain.not_read > 0 {
        writeln!(f, "  of {} nothing but the name", counted(chain.not_read, "segment"))?;
    }
    match (chain.size, &chain.root) {
        (Some(size), Some(root)) => writeln!(f, "  signed up to size {size}, root {root}")?,
        _ => writeln!(f, "  signed: no checkpoint that holds")?,
    }
    for key in &chain.keys {
        let whence = match (key.pinned, report.trust) {
            (true, _) => "pinned",
            (false, Trust::Pinned) => "from the archive, not pinned",
            (false, Trust::Archive) => "taken from the archive on trust",
        };
        let vkey = key.vkey.as_deref().unwrap_or("unknown, its note does not hold");
        write!(f, "  key:   {} from size {} on: {whence}", clean(vkey), key.first_size)?;
        match key.revoked_from {
            Some(from) => writeln!(f, ", revoked from size {from} on")?,
            None => writeln!(f)?,
        }
    }
    if chain.known.is_empty() {
        writeln!(f, "  known: no checkpoint of this chain was brought")?;
    }
    for known in &chain.known {
        let whether = match (known.extended, known.compared) {
            (Some(true), _) => "extended",
            (Some(false), _) => "NOT extended",
            (None, Compared::Nothing) => "could not be compared",
            (None, _) => "the root at that size is the same, what is between was not walked",
        };
        writeln!(f, "  known: {} (size {}): {whether}", clean(&known.name), known.size)?;
    }
    Ok(())
}

fn write_custody(f: &mut fmt::Formatter<'_>, custody: &CustodyReport) -> fmt::Result {
    if custody.promised_by == "unseen" {
        return writeln!(f, "custody: locks could not be looked at");
    }
    let who = match custody.promised_by {
        "auditor" => "as --locked says",
        "bucket" => "as the bucket's default says",
        _ => "",
    };
    match (custody.mode, custody.period_seconds) {
        (Some(mode), Some(seconds)) => {
            let period = match seconds % DAY_S {
                0 => counted(seconds / DAY_S, "day"),
                _ => counted(seconds, "second"),
            };
            write!(f, "custody: promised is {mode} for {period}, {who}; ")?;
        }
        _ => write!(f, "custody: nobody promised anything, so any lock will do; ")?,
    }
    let Locks { evidence, locked, first_until, .. } = &custody.locks;
    write!(f, "{locked} of {evidence} pieces of evidence are locked")?;
    match first_until {
        Some(until) => writeln!(f, ", the first until {until}"),
        None => writeln!(f),
    }
}

const DAY_S: u64 = 24 * 60 * 60;

fn write_finding(f: &mut fmt::Formatter<'_>, lead: &str, finding: &Finding) -> fmt::Result {
    write!(f, "  {lead}: {}", finding.check.name())?;
    if let Some(chain) = &finding.chain {
        write!(f, ", chain {}", clean(chain))?;
    }
    match (finding.first_seq, finding.last_seq) {
        (Some(first), Some(last)) if first == last => write!(f, ", seq {first}")?,
        (Some(first), Some(last)) => write!(f, ", seqs {first} to {last}")?,
        _ => {}
    }
    if let Some(key) = &finding.key {
        write!(f, "\n    object:   {}", clean(key))?;
    }
    if let Some(version) = &finding.version {
        write!(f, "\n    version:  {}", clean(version))?;
    }
    writeln!(f, "\n    expected: {}\n    found:    {}", clean(&finding.expected), clean(&finding.found))
}

fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// Text from an archive must not move the reader's cursor.
fn clean(text: &str) -> String {
    let shown = |c: char| match c.is_control() {
        true => c.escape_default().collect::<String>(),
        false => c.to_string(),
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Verdict;

    #[test]
    fn what_an_archive_says_cannot_drive_a_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb\nc"), "a\\u{1b}[2Jb\\nc");
        assert_eq!(Verdict::Unanchored.words(), "intact but unanchored");
    }
}
