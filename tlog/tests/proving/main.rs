//! Proofs out of archives, and what a checker makes of them: whole ones, damaged ones, ones that somebody laid versions
//! over, and proofs that were changed on their way.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a suite: to fail is to panic")]

mod archives;
mod changed;
mod damaged;
mod found;
mod golden;
mod grown;
mod misled;
mod site;
