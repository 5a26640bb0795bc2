//! What the suites of this crate share.

#![allow(dead_code, reason = "each suite uses its part")]

pub mod chain;
pub mod events;
pub mod golden;
