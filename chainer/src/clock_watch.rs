//! Watches the wall clock against the boot-time clock. A false sealed_at would be permanent, so when the two drift
//! apart by more than a minute nothing is sealed until they agree again or the process is started anew.

use schemas::Micros;

const TOLERANCE_US: i64 = 60_000_000;

/// The last readings that were believed.
#[derive(Clone, Copy, Debug)]
pub struct ClockWatch {
    wall: Micros,
    boot: Micros,
}

impl ClockWatch {
    /// Believes these readings.
    pub fn begin(wall: Micros, boot: Micros) -> ClockWatch {
        ClockWatch { wall, boot }
    }

    /// Why nothing may be sealed at these readings, if so. Readings that agree become the ones to compare with, so that
    /// a clock that is slewed slowly passes.
    pub fn check(&mut self, wall: Micros, boot: Micros, last_sealed_at: Micros) -> Option<String> {
        let jump_us = (wall.0 - self.wall.0) - (boot.0 - self.boot.0);
        if jump_us.abs() > TOLERANCE_US {
            return Some(format!(
                "the wall clock moved by {} s against the time since boot",
                jump_us / 1_000_000
            ));
        }
        let behind_us = last_sealed_at.0 - wall.0;
        if behind_us > TOLERANCE_US {
            return Some(format!(
                "the wall clock stands {} s behind the last sealed event",
                behind_us / 1_000_000
            ));
        }
        *self = ClockWatch { wall, boot };
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_stops_the_sealing_until_it_is_undone() {
        let s = |seconds: i64| Micros(seconds * 1_000_000);
        let mut watch = ClockWatch::begin(s(1_000), s(10));
        assert_eq!(watch.check(s(2_000), s(1_010), s(0)), None, "a thousand seconds passed on both");
        assert!(watch.check(s(2_100), s(1_011), s(0)).is_some());
        assert!(watch.check(s(1_900), s(1_012), s(0)).is_some());
        assert_eq!(watch.check(s(2_003), s(1_013), s(0)), None);
        assert!(watch.check(s(2_004), s(1_014), s(2_065)).is_some(), "the past is sealed already");
    }
}
