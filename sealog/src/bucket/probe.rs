//! `sealog doctor --probe`: writes an object for a day, tries to break its lock, and judges by what is there afterwards.
//! What a server answers proves nothing: a refusal may come from a right that is missing. So the same identity also
//! deletes an object whose lock has ended, and extends one that holds: what it may do there, only the lock kept it from.

use std::time::Duration;

use anyhow::{Result, bail};
use runtime::{Clock, Deadline, Stop, SystemClock, random_bytes};
use schemas::{Layout, Micros, hex};
use store::s3::{Answer, Attack, S3};
use store::{Keep, Kind, Lock, Mode, Retention, Store, Version};

use super::fit::mode_name;
use super::open_with_retention;
use crate::config::Bucket;
use crate::doctor::Findings;

const DAY: Duration = Duration::from_secs(86_400);
const HOUR_US: i64 = 3_600_000_000;
const SECOND_US: i64 = 1_000_000;
/// How long the object is locked that is to be deleted.
const SOON: Duration = Duration::from_secs(2);
/// How long the server's clock may take to see that lock end.
const PATIENCE: Duration = Duration::from_secs(20);
const MAX_BYTES: u64 = 4_096;

/// Tries the bucket's locks, below the first chain's `probe/`.
pub fn probe(findings: &mut Findings, bucket: &Bucket, origin: &str) -> Result<()> {
    let folder = format!("{}probe/", Layout::of(&chainer::chain_origin(origin, 0)).root());
    let name = format!("{}-{}", SystemClock.wall().rfc3339().replace(':', ""), hex(&random_bytes::<8>()));
    let mode = bucket.retention.mode;
    let for_a_day = open_with_retention(bucket, Retention { mode, period: DAY })?;
    let Some(mut probe) = Probe::write(findings, for_a_day, format!("{folder}{name}"), mode)? else {
        return Ok(());
    };
    let control = Control::write(bucket, format!("{folder}{name}-control"))?;

    let may_relock = probe.extend(findings)?;
    if probe.attack_all(findings, false)? && probe.lay_over(findings)? {
        probe.attack_all(findings, true)?;
    }
    let may_delete = control.delete()?;
    match (may_delete, may_relock) {
        (true, true) => findings.right(
            "the same identity deleted an object whose lock had ended, and made a lock longer: it was the lock that refused",
        ),
        _ => findings.wrong(
            "this identity may not delete versions or put retentions at all, so what refused may have been its rights \
             and not the lock: probe again under an administrator's identity (s3:DeleteObjectVersion, \
             s3:PutObjectRetention)",
        ),
    }
    Ok(())
}

/// The object that is attacked.
struct Probe {
    s3: S3,
    key: String,
    version: Version,
    body: Vec<u8>,
    /// What it must be locked with.
    lock: Lock,
}

/// What is found of it.
#[derive(Debug, PartialEq, Eq)]
enum State {
    /// It is there, and its lock.
    Holds,
    /// It is there, and less holds it.
    Loosened(Option<Lock>),
    /// It is gone, or is something else.
    Lost,
}

impl Probe {
    /// Writes it. None: it may not be written, or is not locked as was asked for.
    fn write(findings: &mut Findings, s3: S3, key: String, mode: Mode) -> Result<Option<Probe>> {
        let body =
            format!("Written by `sealog doctor --probe` to try its lock.\n{}\n", hex(&random_bytes::<16>()));
        let until = Micros(SystemClock.wall().0 + DAY.as_micros() as i64);
        let version = match s3.put_new(&key, body.as_bytes(), Keep::Evidence) {
            Ok(version) => version,
            Err(error) if error.kind() == Kind::Refused => {
                findings.wrong(format_args!(
                    "the probe could not be written: {error}. Probe under an administrator's identity \
                     (deploy/iam/administrator.json)"
                ));
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let mut probe = Probe { s3, key, version, body: body.into_bytes(), lock: Lock { mode, until } };
        let found = probe.s3.get(&probe.key, Some(&probe.version), None, MAX_BYTES)?;
        match found.lock {
            Some(lock) if is_kept(lock, probe.lock) && found.bytes == probe.body => {
                probe.lock = lock;
                findings.right(format_args!("probe {}: written, {}", probe.key, in_words(Some(lock))));
                Ok(Some(probe))
            }
            lock => {
                findings.wrong(format_args!(
                    "probe {}: it was to be {}, but is {}: the server does not lock as it is told",
                    probe.key,
                    in_words(Some(probe.lock)),
                    in_words(lock)
                ));
                Ok(None)
            }
        }
    }

    /// Makes the lock longer by a second. Whether this identity may.
    fn extend(&mut self, findings: &mut Findings) -> Result<bool> {
        let longer = Lock { until: Micros(self.lock.until.0 + SECOND_US), ..self.lock };
        match self.s3.extend(&self.key, &self.version, longer) {
            Ok(lock) => {
                self.lock = lock;
                Ok(true)
            }
            Err(error) if error.kind() == Kind::Refused => {
                findings.note(format_args!("its lock could not be made longer: {error}"));
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether something is left to attack.
    fn attack_all(&mut self, findings: &mut Findings, bypass: bool) -> Result<bool> {
        let shorter = Lock { until: Micros(SystemClock.wall().0 + HOUR_US), ..self.lock };
        let weaker = Lock { mode: Mode::Governance, ..self.lock };
        let mut attacks = vec![("shorten its retention", Attack::Relock(shorter))];
        if self.lock.mode == Mode::Compliance {
            attacks.push(("downgrade its mode", Attack::Relock(weaker)));
        }
        attacks.push(("delete its version", Attack::Delete));
        for (name, attack) in attacks {
            let answer = match self.s3.attack(&self.key, &self.version, attack, bypass)? {
                Answer::Done => "the server said yes".to_owned(),
                Answer::Refused(code) if code.is_empty() => "refused".to_owned(),
                Answer::Refused(code) => format!("refused ({code})"),
            };
            let state = self.state()?;
            let how = if bypass { " with bypass" } else { "" };
            match (&state, self.lock.mode) {
                (State::Holds, _) => findings.right(format_args!("to {name}{how}: {answer}; it is there, and its lock")),
                (_, Mode::Governance) if bypass => findings.note(format_args!(
                    "to {name}{how}: it worked. This identity can lift locks, as governance mode lets whoever has \
                     s3:BypassGovernanceRetention: keep that right from everyone, or use compliance"
                )),
                _ => findings.wrong(format_args!(
                    "to {name}{how}: {answer}, and it is {} now: this server's locks do not hold, keep no evidence there",
                    in_state(&state)
                )),
            }
            match state {
                State::Holds => {}
                State::Loosened(Some(lock)) => self.lock = lock,
                State::Loosened(None) | State::Lost => return Ok(false),
            }
        }
        Ok(true)
    }

    /// S3 lets whoever may write lay a new version over a locked one. It must not touch what is below:
    /// whether it did not.
    fn lay_over(&mut self, findings: &mut Findings) -> Result<bool> {
        let tag = self.s3.get(&self.key, None, Some(0..0), 0)?.tag;
        let over = self.s3.replace_if(&self.key, Some(&tag), b"Laid over it.\n", Keep::Evidence)?;
        let newest = self.s3.get(&self.key, None, Some(0..0), 0)?.version;
        let state = self.state()?;
        match &state {
            State::Holds if newest == over && over != self.version => findings.right(
                "to lay a new version over it: it worked, as S3 has it; the locked one is still read by its version",
            ),
            State::Holds => findings.wrong(format_args!(
                "to lay a new version over it: the server said yes, but the newest version is {}",
                newest.0
            )),
            state => findings.wrong(format_args!(
                "to lay a new version over it: it worked, and the locked one is {}: keep no evidence there",
                in_state(state)
            )),
        }
        Ok(state == State::Holds)
    }

    fn state(&self) -> Result<State> {
        match self.s3.get(&self.key, Some(&self.version), None, MAX_BYTES) {
            Ok(object) if object.bytes != self.body => Ok(State::Lost),
            Ok(object) if object.lock.is_some_and(|lock| is_kept(lock, self.lock)) => Ok(State::Holds),
            Ok(object) => Ok(State::Loosened(object.lock)),
            Err(error) if error.kind() == Kind::Missing => Ok(State::Lost),
            Err(error) => Err(error.into()),
        }
    }
}

/// An object whose lock ends soon.
struct Control {
    s3: S3,
    key: String,
    version: Version,
}

impl Control {
    fn write(bucket: &Bucket, key: String) -> Result<Control> {
        let s3 = open_with_retention(bucket, Retention { period: SOON, ..bucket.retention })?;
        let version =
            s3.put_new(&key, b"Written by `sealog doctor --probe` to be deleted.\n", Keep::Evidence)?;
        Ok(Control { s3, key, version })
    }

    /// Deletes it when its lock has ended. Whether this identity may.
    fn delete(&self) -> Result<bool> {
        let deadline = Deadline::after(PATIENCE);
        loop {
            self.s3.attack(&self.key, &self.version, Attack::Delete, false)?;
            match self.s3.get(&self.key, Some(&self.version), Some(0..0), 0) {
                Err(error) if error.kind() == Kind::Missing => return Ok(true),
                Err(error) => bail!(error),
                Ok(object) => {
                    let has_ended =
                        object.lock.is_none_or(|lock| lock.until.0 + SECOND_US < SystemClock.wall().0);
                    if has_ended && deadline.left() < PATIENCE / 2 || deadline.passed() {
                        return Ok(false);
                    }
                }
            }
            Stop::new().wait(SOON / 4);
        }
    }
}

/// Whether a lock is no less than it must be.
fn is_kept(is: Lock, must: Lock) -> bool {
    is.until >= must.until && (is.mode == Mode::Compliance || must.mode == Mode::Governance)
}

fn in_words(lock: Option<Lock>) -> String {
    match lock {
        None => "not locked".to_owned(),
        Some(lock) => format!("locked in {} until {}", mode_name(lock.mode), lock.until.rfc3339()),
    }
}

fn in_state(state: &State) -> String {
    match state {
        State::Holds => "as it was".to_owned(),
        State::Loosened(lock) => in_words(*lock),
        State::Lost => "gone".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_kept_only_if_nothing_of_it_is_less() {
        let lock = |mode, until| Lock { mode, until: Micros(until) };
        let (compliance, governance) = (Mode::Compliance, Mode::Governance);
        assert!(is_kept(lock(compliance, 5), lock(compliance, 5)));
        assert!(is_kept(lock(compliance, 6), lock(governance, 5)));
        assert!(!is_kept(lock(compliance, 4), lock(compliance, 5)));
        assert!(!is_kept(lock(governance, 5), lock(compliance, 5)));
    }
}
