//! Every decoder gets a small fixed part of what `tools/fuzz` feeds it.

use crate::fuzz::mutate::{Rounds, run};
use crate::fuzz::targets;

/// Inputs of one target.
const INPUTS: u64 = 120;

#[test]
fn no_input_stops_a_decoder() {
    for target in targets::all() {
        let report = run(&target, 1, Rounds::Number(INPUTS));
        let found: Vec<_> = report.found.iter().map(|(input, what)| format!("{what}: {input:?}")).collect();
        assert!(found.is_empty(), "{}: {}", target.name, found.join("\n"));
        assert!(report.inputs >= INPUTS && report.taken > 0, "{} takes nothing, not even its seeds", target.name);
    }
}
