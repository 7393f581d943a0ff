//! The store against a plain map: fixed seeds of `tools/faults`' random histories.
//!
//! A failure prints its seed; `EVENKEEL_SEED=… cargo test storage::model` repeats it.

use crate::campaign::simulate;

#[test]
fn the_store_agrees_with_a_map() {
    let outcome = match std::env::var("EVENKEEL_SEED") {
        Ok(seed) => simulate::run(seed.parse().unwrap(), 1),
        Err(_) => simulate::run(1, 60),
    };
    outcome.assert_clean(1);
}
