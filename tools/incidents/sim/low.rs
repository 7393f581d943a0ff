//! Low traffic: what a service that keeps its promise leads to, and a trickle that does not.

use std::error::Error;

use evenkeel::env::Rng;
use evenkeel::model::{Millis, Timestamp};
use evenkeel::slo::Objective;
use evenkeel::stats::binomial_tail;

use super::draw::binomial;
use super::ours;
use super::samples::{Samples, Scrape};
use super::service::{Promise, Service};
use super::{Fired, START, Urgency};

/// A service with steady traffic, `failure` of which fails from `from` on, `base` before.
struct Steady {
    /// Requests an hour.
    rate: f64,
    objective: f64,
    base: f64,
    failure: f64,
    from: Millis,
    length: Millis,
}

const SCRAPE: Millis = Millis::seconds(30);

impl Steady {
    fn objective(&self) -> Objective {
        let service = Service {
            name: "low".to_owned(),
            rate: self.rate / 3600.0,
            objective: self.objective,
            promise: Promise::Answers,
            base: 0.0,
            interval: SCRAPE,
            instances: 1,
            retries: 0.0,
            days: 1,
            seed: 0,
        };
        service.objective()
    }

    /// Its samples, and in how many hours that it had a request in one failure was more than 14.4 times the budget over the hour
    /// and over five minutes: the plain condition.
    fn samples(&self, seed: u64) -> (Samples, usize) {
        let mut rng = Rng::new(seed);
        let labels = Samples::codes("low");
        let (mut good, mut bad) = (0u64, 0u64);
        let mut scrapes = Vec::new();
        let mut counts: Vec<(u64, u64)> = Vec::new();
        for n in 1..=self.length.0 / SCRAPE.0 {
            let t = Timestamp(START.0 + n * SCRAPE.0);
            let p = if t - START > self.from { self.failure } else { self.base };
            let total = rng.poisson(self.rate * SCRAPE.0 as f64 / 3_600_000.0);
            let failed = binomial(&mut rng, total, p);
            (good, bad) = (good + total - failed, bad + failed);
            counts.push((total, failed));
            scrapes.push(Scrape { t, values: vec![(0, good as f64), (1, bad as f64)] });
        }
        let share = 14.4 * (1.0 - self.objective);
        let window = |end: usize, length: usize| {
            let from = (end + 1).saturating_sub(length);
            let sum = counts[from..=end].iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
            sum.0 > 0 && sum.1 as f64 > share * sum.0 as f64
        };
        let (hour, five) = ((3_600_000 / SCRAPE.0) as usize, (300_000 / SCRAPE.0) as usize);
        let hours = counts.len() / hour;
        let plain =
            (0..hours).filter(|h| (h * hour..(h + 1) * hour).any(|n| window(n, hour) && window(n, five))).count();
        (Samples { labels, scrapes }, plain)
    }

    fn play(&self, seed: u64) -> Result<(Vec<Fired>, usize), Box<dyn Error>> {
        let (samples, plain) = self.samples(seed);
        Ok((ours::play(self.objective(), &samples)?, plain))
    }
}

/// Pages in 30 days of a service that exactly meets its objective, of so many simulated months: ours, and hours in which the plain
/// condition held.
pub(crate) fn healthy(rate: f64, objective: f64, months: u64, seed: u64) -> Result<(f64, f64, f64), Box<dyn Error>> {
    let (mut pages, mut tickets, mut plain) = (0, 0, 0);
    for month in 0..months {
        let base = 1.0 - objective;
        let steady = Steady { rate, objective, base, failure: base, from: Millis::ZERO, length: Millis::days(30) };
        let (fired, hours) = steady.play(seed.wrapping_mul(7919).wrapping_add(month))?;
        let budget = |one: &&Fired| one.name.starts_with("ErrorBudgetBurn") || one.name.starts_with("ErrorBudgetDrain");
        pages += fired.iter().filter(|one| one.urgency == Urgency::Page).count();
        tickets += fired.iter().filter(|one| one.urgency == Urgency::Ticket).filter(budget).count();
        plain += hours;
    }
    let each = |n: usize| n as f64 / months as f64;
    Ok((each(pages), each(tickets), each(plain)))
}

/// After how many seconds a trickle that fails so often shows its third failure, is told of, and pages: the slowest of so
/// many runs each.
pub(crate) fn trickle(rate: f64, failure: f64, runs: u64, seed: u64) -> Result<[f64; 3], Box<dyn Error>> {
    let mut slowest = [0.0f64; 3];
    for run in 0..runs {
        let from = Millis::days(3);
        let steady = Steady { rate, objective: 0.999, base: 0.0, failure, from, length: from + Millis::hours(12) };
        let (samples, _) = steady.samples(seed.wrapping_mul(104_729).wrapping_add(run));
        let fired = ours::play(steady.objective(), &samples)?;
        let begun = START + from;
        // The second series counts failures.
        let third = samples.scrapes.iter().find(|scrape| scrape.values[1].1 >= 3.0);
        let third = third.map_or(f64::INFINITY, |scrape| (scrape.t - begun).0 as f64 / 1000.0);
        let after = |page: bool| {
            let of_it = fired.iter().filter(|one| one.start >= begun && (!page || one.urgency == Urgency::Page));
            of_it.map(|one| (one.start - begun).0 as f64 / 1000.0).fold(f64::INFINITY, f64::min)
        };
        for (slowest, one) in slowest.iter_mut().zip([third, after(false), after(true)]) {
            *slowest = slowest.max(one);
        }
    }
    Ok(slowest)
}

/// Prints both tables of low traffic.
pub(crate) fn report(seed: u64) -> Result<(), Box<dyn Error>> {
    println!(
        "A service that exactly meets its objective (its true failure probability is the budget's share), per 30 days:\n"
    );
    println!(
        "{:>12} {:>9} {:>10} {:>10} {:>28}",
        "requests/h", "objective", "pages", "tickets", "hours with the plain condition"
    );
    for (rate, objective) in
        [(10.0, 0.999), (69.0, 0.999), (200.0, 0.999), (500.0, 0.999), (69.0, 0.99), (69.0, 0.9995)]
    {
        let (pages, tickets, plain) = healthy(rate, objective, 24, seed)?;
        println!("{rate:>12} {objective:>9} {pages:>10.2} {tickets:>10.2} {plain:>28.1}");
    }
    println!(
        "\n(24 simulated months each; plain: 14.4 times the budget over an hour and over five minutes, on counts.)"
    );
    println!(
        "\nA trickle at 99.9 % of which nine in ten requests begin to fail, the slowest of 50 runs each. Two failures are one \
         request that was tried again, so nobody can tell before the third has come; of ten requests an hour that takes an \
         hour in one run of 160, of two it takes six hours in one of 700.\n"
    );
    println!("{:>12} {:>20} {:>14} {:>14}", "requests/h", "third failure after", "told after", "paged after");
    let minutes = |s: f64| if s.is_infinite() { "never".to_owned() } else { format!("{:.0} min", s / 60.0) };
    for rate in [1.0, 2.0, 5.0, 10.0, 30.0, 69.0] {
        let [third, told, paged] = trickle(rate, 0.9, 50, seed)?.map(minutes);
        println!("{rate:>12} {third:>20} {told:>14} {paged:>14}");
    }
    println!(
        "\nFailures in the last hour from which on 14.4 times the budget of 99.9 % is told, by requests in that hour:\n"
    );
    println!("{:>9} {:>7} {:>28} {:>28}", "requests", "plain", "99 % sure of 14.4", "ours, spread over the hour");
    for n in [10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0] {
        let least = |enough: &dyn Fn(f64) -> bool| (1..).map(f64::from).find(|k| enough(*k)).unwrap_or(f64::NAN);
        let plain = least(&|k| k > 0.0144 * n);
        let certain = least(&|k| binomial_tail(k, n, 0.0144) < 0.01);
        let sure = |k, share, doubt| binomial_tail(k, n, share) < doubt / 5.0;
        let own = least(&|k| k >= 3.0 && k > 0.0144 * n && (sure(k, 0.0072, 0.01) || sure(k, 0.001, 0.0001)));
        println!("{n:>9} {plain:>7} {certain:>28} {own:>28}");
    }
    Ok(())
}
