//! Tests of `slo` and of what is made of it: `confidence` and `report`.

mod blindness;
mod burn;
mod companions;
mod composites;
mod episodes;
mod groups;
mod input;
mod random;
mod reckoning;
mod restart;
mod severity;
mod shown;
mod story;
mod time_coverage;
mod verdict;
mod what_if;
