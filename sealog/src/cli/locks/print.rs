//! What `sealog locks` says: a line for each version, text or JSON, and a summary at the end.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};

use schemas::Micros;
use serde::Serialize;
use store::custody::Flaw;
use store::{Lock, Mode, Retention};

use super::walk::{Class, Found};
use crate::bucket::in_words;

/// What an object that the layout does not know is called.
const UNKNOWN: &str = "layout";

/// Prints, and counts.
pub struct Printer<W> {
    out: W,
    json: bool,
    /// Of versions with findings alone, and of those that are to be locked for longer.
    only_findings: bool,
    pub summary: Summary,
}

/// What was found in all.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// Whether every version was looked at.
    pub is_whole: bool,
    /// What evidence was to be locked with.
    pub promise: Option<String>,
    pub keys: u64,
    pub versions: u64,
    pub delete_markers: u64,
    pub bytes: u64,
    /// Versions by what they are locked with.
    pub compliance: u64,
    pub governance: u64,
    pub unlocked: u64,
    pub held: u64,
    /// Versions that could not be looked at, or not be locked.
    pub refused: u64,
    /// Of evidence, the lock that ends first and the one that ends last.
    #[serde(serialize_with = "rfc3339")]
    pub first_end: Option<Micros>,
    #[serde(serialize_with = "rfc3339")]
    pub last_end: Option<Micros>,
    /// Evidence that is locked for longer now.
    pub extended: u64,
    /// Evidence that would be with --yes.
    pub to_extend: u64,
    pub findings: BTreeMap<&'static str, u64>,
    #[serde(skip)]
    last_key: String,
}

#[derive(Serialize)]
struct Line<'a> {
    key: &'a str,
    version: &'a str,
    newest: bool,
    delete_marker: bool,
    bytes: u64,
    #[serde(serialize_with = "rfc3339")]
    written: Option<Micros>,
    mode: Option<&'static str>,
    #[serde(serialize_with = "rfc3339")]
    until: Option<Micros>,
    legal_hold: bool,
    #[serde(serialize_with = "rfc3339", skip_serializing_if = "Option::is_none")]
    extend_to: Option<Micros>,
    findings: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

impl<W: Write> Printer<W> {
    pub fn new(out: W, json: bool, only_findings: bool) -> Printer<W> {
        Printer { out, json, only_findings, summary: Summary::default() }
    }

    /// One version.
    pub fn line(&mut self, found: &Found<'_>, is_done: bool) -> io::Result<()> {
        self.summary.count(found, is_done);
        if self.only_findings
            && found.flaws.is_empty()
            && found.class != Class::Unknown
            && found.longer.is_none()
            && found.refused.is_none()
        {
            return Ok(());
        }
        let kept = found.kept;
        if self.json {
            let line = Line {
                key: found.key,
                version: &kept.version.0,
                newest: found.newest,
                delete_marker: kept.delete_marker,
                bytes: found.size_bytes,
                written: Some(kept.modified),
                mode: kept.lock.map(|lock| mode(lock.mode)),
                until: kept.lock.map(|lock| lock.until),
                legal_hold: kept.is_held,
                extend_to: found.longer.map(|lock| lock.until),
                findings: names(found).collect(),
                refused: found.refused.map(ToString::to_string),
            };
            serde_json::to_writer(&mut self.out, &line)?;
            return writeln!(self.out);
        }
        let (key, version) = (found.key.escape_debug(), kept.version.0.escape_debug());
        write!(self.out, "{key} version {version}: ")?;
        match (kept.delete_marker, kept.lock) {
            (true, _) => write!(self.out, "delete marker")?,
            (false, None) if found.class == Class::Unknown => write!(self.out, "not looked into")?,
            (false, None) if found.refused.is_some() => write!(self.out, "not known")?,
            (false, None) => write!(self.out, "not locked")?,
            (false, Some(lock)) => write!(self.out, "{}", Shown(lock))?,
        }
        let held = if kept.is_held { ", legal hold" } else { "" };
        writeln!(self.out, "{held}, written {}", seconds(kept.modified))?;
        if let Some(lock) = found.longer {
            let what = if is_done { "locked for longer:" } else { "to be locked for longer:" };
            writeln!(self.out, "  {what} {}", Shown(lock))?;
        }
        if let Some(error) = found.refused {
            writeln!(self.out, "  REFUSED {}", error.to_string().escape_debug())?;
        }
        for flaw in &found.flaws {
            writeln!(self.out, "  FINDING {}: {}", flaw.name(), Words(*flaw))?;
        }
        if found.class == Class::Unknown {
            writeln!(self.out, "  FINDING {UNKNOWN}: Sealog puts nothing at such a key")?;
        }
        Ok(())
    }

    /// The summary, which says against what all was held, and whether that was all.
    pub fn end(mut self, is_whole: bool, promise: Option<Retention>) -> io::Result<Summary> {
        self.summary.is_whole = is_whole && self.summary.refused == 0;
        self.summary.promise = promise.map(in_words);
        match self.json {
            true => {
                serde_json::to_writer(&mut self.out, &serde_json::json!({ "summary": &self.summary }))?;
                writeln!(self.out)?;
            }
            false => write!(self.out, "{}", self.summary)?,
        }
        self.out.flush()?;
        Ok(self.summary)
    }
}

impl Summary {
    fn count(&mut self, found: &Found<'_>, is_done: bool) {
        if self.last_key != found.key {
            self.keys += 1;
            found.key.clone_into(&mut self.last_key);
        }
        for name in names(found) {
            *self.findings.entry(name).or_default() += 1;
        }
        if found.kept.delete_marker {
            self.delete_markers += 1;
            return;
        }
        self.versions += 1;
        self.bytes += found.size_bytes;
        self.held += u64::from(found.kept.is_held);
        self.refused += u64::from(found.refused.is_some());
        match found.kept.lock.map(|lock| lock.mode) {
            None if found.class == Class::Unknown || found.refused.is_some() => {}
            None => self.unlocked += 1,
            Some(Mode::Compliance) => self.compliance += 1,
            Some(Mode::Governance) => self.governance += 1,
        }
        if found.longer.is_some() {
            *(if is_done { &mut self.extended } else { &mut self.to_extend }) += 1;
        }
        if let (Class::Evidence, Some(Lock { until, .. })) = (found.class, found.kept.lock) {
            self.first_end = Some(self.first_end.map_or(until, |first| first.min(until)));
            self.last_end = Some(self.last_end.map_or(until, |last| last.max(until)));
        }
    }

    /// How many findings there are in all. Err: some versions could not be looked at, or not be locked.
    pub fn verdict(&self) -> anyhow::Result<u64> {
        match self.refused {
            0 => Ok(self.count_of_findings()),
            refused => anyhow::bail!(
                "{refused} versions could not be looked at, or not be locked: each has a line that says why"
            ),
        }
    }

    fn count_of_findings(&self) -> u64 {
        self.findings.values().sum()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_whole {
            writeln!(f, "NOT ALL WAS LOOKED AT. Of what was:")?;
        }
        writeln!(
            f,
            "{} versions and {} delete markers of {} keys, {} bytes: {} locked in compliance mode, {} in governance \
             mode, {} not locked; {} under a legal hold",
            self.versions,
            self.delete_markers,
            self.keys,
            self.bytes,
            self.compliance,
            self.governance,
            self.unlocked,
            self.held
        )?;
        if let (Some(first), Some(last)) = (self.first_end, self.last_end) {
            let (first, last) = (seconds(first), seconds(last));
            writeln!(f, "the first lock on evidence ends {first}, the last {last}")?;
        }
        match &self.promise {
            Some(promise) => writeln!(f, "held against what was promised: {promise}")?,
            None => writeln!(f, "nobody said what was promised: any lock was taken that has not ended")?,
        }
        if self.extended > 0 {
            writeln!(f, "locked for longer: {}", self.extended)?;
        }
        if self.to_extend > 0 {
            writeln!(
                f,
                "to be locked for longer: {}; nothing was changed. Repeat it with --yes: what is locked in compliance \
                 mode cannot be given up before its time, by nobody",
                self.to_extend
            )?;
        }
        if self.refused > 0 {
            writeln!(f, "could not be looked at, or not be locked: {}", self.refused)?;
        }
        match self.count_of_findings() {
            0 => writeln!(f, "no findings"),
            many => {
                let each: Vec<String> =
                    self.findings.iter().map(|(name, count)| format!("{name} {count}")).collect();
                writeln!(f, "findings: {many} ({})", each.join(", "))
            }
        }
    }
}

fn names<'a>(found: &'a Found<'_>) -> impl Iterator<Item = &'static str> + 'a {
    let unknown = (found.class == Class::Unknown).then_some(UNKNOWN);
    found.flaws.iter().map(|flaw| flaw.name()).chain(unknown)
}

/// A lock in words.
pub struct Shown(pub Lock);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} until {}", mode(self.0.mode), seconds(self.0.until))
    }
}

/// What is wrong, in words.
struct Words(Flaw);

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Flaw::Hides => f.write_str("it hides the key: who asks for it is told that nothing is there"),
            Flaw::Marker => f.write_str("somebody deleted the key, and it was written again"),
            Flaw::LaidOver => f.write_str("it lies over an older version, and evidence is written once"),
            Flaw::Unlocked => f.write_str("whoever may delete can delete it"),
            Flaw::Ended => f.write_str("its lock has ended: whoever may delete can delete it"),
            Flaw::Liftable => f.write_str("compliance mode was promised: who may bypass can delete it"),
            Flaw::Short(due) => write!(f, "it was to be locked until {}", seconds(due)),
        }
    }
}

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Compliance => "compliance",
        Mode::Governance => "governance",
    }
}

/// Locks and servers know whole seconds.
fn seconds(at: Micros) -> String {
    let text = at.rfc3339();
    match text.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => text,
    }
}

#[allow(clippy::ref_option, reason = "what serde calls")]
fn rfc3339<S: serde::Serializer>(at: &Option<Micros>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(seconds).serialize(serializer)
}
