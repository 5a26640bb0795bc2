//! Whatever a process was doing when the power went: what it had acknowledged is there, and nothing that it never
//! wrote.

use proptest::prelude::*;

use super::sim::{Chance, Faults, SimDisk};
use super::*;

/// What a lane was asked to take, batch by batch, and how far it said yes.
#[derive(Default)]
struct Asked {
    batches: Vec<Vec<Vec<u8>>>,
    acknowledged: usize,
}

#[derive(Clone, Debug)]
enum Step {
    /// Records of these lengths to lane 0, to lane 1.
    Append(Vec<usize>, Vec<usize>),
    /// Trims lane 0 by so many in a hundred of what it holds.
    Trim(u64),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let lengths = || prop::collection::vec(0..120_usize, 0..4);
    prop_oneof![
        8 => (lengths(), lengths()).prop_map(|(a, b)| Step::Append(a, b)),
        1 => (0..=100_u64).prop_map(Step::Trim),
        1 => Just(Step::Reopen),
    ]
}

/// Takes steps until the process dies; whether it got to the end.
fn run(
    log: &mut Option<Embedded>,
    disk: &SimDisk,
    file_bytes: u64,
    steps: &[Step],
    asked: &mut [Asked; 2],
) -> bool {
    for step in steps {
        let open_log = log.as_ref().unwrap();
        let went = match step {
            Step::Append(a, b) => append(open_log, [a, b], asked),
            Step::Trim(part) => {
                let end = asked[0].batches.iter().flatten().count() as u64;
                open_log.trim(&lane(), end * part / 100)
            }
            Step::Reopen => {
                *log = None;
                open(disk, options(file_bytes)).map(|opened| *log = Some(opened))
            }
        };
        if went.is_err() {
            return false;
        }
    }
    true
}

fn append(log: &Embedded, lengths: [&Vec<usize>; 2], asked: &mut [Asked; 2]) -> Result<()> {
    let mut batch = Batch::new();
    for (partition, lengths) in lengths.into_iter().enumerate() {
        let id = batch.lane(&Lane::new("t", partition as u32));
        let first = asked[partition].batches.iter().flatten().count();
        let value = |(n, length): (usize, &usize)| {
            let mut value = format!("{}/{partition} ", first + n).into_bytes();
            value.resize(value.len() + length, b'x');
            value
        };
        let values: Vec<_> = lengths.iter().enumerate().map(value).collect();
        values.iter().for_each(|v| batch.push(id, Some(b"key"), &[("h", b"x")], v));
        if !values.is_empty() {
            asked[partition].batches.push(values);
        }
    }
    log.append(&batch)?;
    asked.iter_mut().for_each(|a| a.acknowledged = a.batches.len());
    Ok(())
}

/// The lane holds the acknowledged batches, and of the one that was under way all or nothing.
fn check(log: &Embedded, partition: u32, asked: &mut Asked) {
    let lane = Lane::new("t", partition);
    let last = log.last(&lane).unwrap();
    let end = last.last().map_or(0, |r| r.offset + 1) as usize;
    let mut counts = vec![0];
    counts.extend(asked.batches.iter().scan(0, |sum, batch| {
        *sum += batch.len();
        Some(*sum)
    }));
    let kept = counts.iter().position(|count| *count == end);
    let kept = kept.unwrap_or_else(|| panic!("{lane} ends at {end}, within a batch: {counts:?}"));
    assert!(kept >= asked.acknowledged, "{lane} lost what it had acknowledged");
    asked.batches.truncate(kept);
    let start = match log.read(&lane, 0, &mut Batch::new(), ALL, Duration::ZERO) {
        Ok(()) => 0,
        Err(e) => match e.kind() {
            crate::Kind::OutOfRange { start, .. } => start,
            other => panic!("{other:?}: {e}"),
        },
    };
    let (got, error) = read_all(log, &lane, start);
    assert!(error.is_none(), "{error:?}");
    let expected: Vec<_> = asked.batches.iter().flatten().skip(start as usize).cloned().collect();
    assert_eq!(got, expected, "{lane} from {start}");
    assert_eq!(
        last.last().map(|r| r.value.unwrap().to_vec()),
        asked.batches.iter().flatten().last().cloned()
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Three lives, each ended by a loss of power at a change that chance names.
    #[test]
    fn a_loss_of_power_at_any_change_leaves_what_was_acknowledged(
        lives in prop::collection::vec((prop::collection::vec(step(), 1..12), 0..40_u64, any::<u64>()), 3),
        file_bytes in 1..1_200_u64,
    ) {
        let mut disk = SimDisk::default();
        let mut asked = [Asked::default(), Asked::default()];
        for (steps, die_after, chances) in lives {
            let mut log = Some(open(&disk, options(file_bytes)).unwrap());
            for (partition, asked) in asked.iter_mut().enumerate() {
                check(log.as_ref().unwrap(), partition as u32, asked);
                asked.acknowledged = asked.batches.len();
            }
            disk.fail(Faults { die_at: Some(disk.changes() + die_after), ..Faults::default() });
            run(&mut log, &disk, file_bytes, &steps, &mut asked);
            drop(log);
            disk = disk.after_power_loss(&mut Chance(chances));
        }
        let log = open(&disk, options(file_bytes)).unwrap();
        for (partition, asked) in asked.iter_mut().enumerate() {
            check(&log, partition as u32, asked);
        }
    }

    /// The power goes again while the log is being opened after a loss.
    #[test]
    fn a_loss_of_power_during_recovery_changes_nothing(
        steps in prop::collection::vec(step(), 1..12),
        die_after in 0..40_u64,
        die_again_after in 0..6_u64,
        chances in any::<u64>(),
    ) {
        let disk = SimDisk::default();
        let mut asked = [Asked::default(), Asked::default()];
        let mut log = Some(open(&disk, options(400)).unwrap());
        disk.fail(Faults { die_at: Some(disk.changes() + die_after), ..Faults::default() });
        run(&mut log, &disk, 400, &steps, &mut asked);
        drop(log);
        let mut chance = Chance(chances);
        let disk = disk.after_power_loss(&mut chance);
        disk.fail(Faults { die_at: Some(die_again_after), ..Faults::default() });
        let _ = open(&disk, options(400));
        let disk = disk.after_power_loss(&mut chance);
        let log = open(&disk, options(400)).unwrap();
        for (partition, asked) in asked.iter_mut().enumerate() {
            check(&log, partition as u32, asked);
        }
    }

    /// A process that dies alone leaves everything it wrote; what it never finished goes.
    #[test]
    fn a_killed_process_leaves_what_was_acknowledged(
        steps in prop::collection::vec(step(), 1..20),
        die_after in 0..60_u64,
        file_bytes in 1..1_200_u64,
    ) {
        let disk = SimDisk::default();
        let mut asked = [Asked::default(), Asked::default()];
        let mut log = Some(open(&disk, options(file_bytes)).unwrap());
        disk.fail(Faults { die_at: Some(disk.changes() + die_after), ..Faults::default() });
        run(&mut log, &disk, file_bytes, &steps, &mut asked);
        drop(log);
        let log = open(&SimDisk::with(&disk.files()), options(file_bytes)).unwrap();
        for (partition, asked) in asked.iter_mut().enumerate() {
            check(&log, partition as u32, asked);
        }
    }
}
