//! Tests of `slo` and of what is made of it: `confidence` and `report`.

mod burn;
mod groups;
mod input;
mod random;
mod restart;
mod shown;
mod story;
mod verdict;
