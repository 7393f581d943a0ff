//! Which frame, width and order of differences a vector of numbers takes least bytes in.
//!
//! Invariant: the cost of a plan is the length of the bytes that it leads to, or a little more.

use crate::codec::unsigned;

/// How often differences are taken before numbers are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::codec) enum Order {
    /// The numbers themselves.
    Values,
    /// Each less the one before.
    Steps,
    /// Each step less the one before.
    Turns,
}

impl Order {
    /// All of them.
    pub(in crate::codec) const ALL: [Order; 3] = [Order::Values, Order::Steps, Order::Turns];
}

/// A way to pack a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::codec) struct Plan {
    /// What is packed.
    pub(in crate::codec) order: Order,
    /// What is subtracted from each number before it is packed.
    pub(in crate::codec) base: u64,
    /// Bits of a packed number; what has more is an exception.
    pub(in crate::codec) width: u32,
    /// Bytes that this takes.
    pub(in crate::codec) cost: usize,
}

impl Plan {
    /// The plan that suits any numbers.
    pub(in crate::codec) const WHOLE: Plan = Plan { order: Order::Values, base: 0, width: 64, cost: usize::MAX };

    /// The cheapest plan for the numbers, of which there is at least one. `scratch` is room to sort in.
    pub(in crate::codec) fn cheapest(numbers: &[u64], scratch: &mut Vec<u64>) -> Plan {
        let plans = Plan::of_each_order(numbers, scratch);
        plans.into_iter().flatten().min_by_key(|plan| plan.cost).unwrap_or(Plan::WHOLE)
    }

    /// The cheaper plan of two orders, which are chosen by how far the numbers of each lie from one of them.
    pub(in crate::codec) fn quick(numbers: &[u64], scratch: &mut Vec<u64>) -> Plan {
        let mut orders = Order::ALL.map(|order| (u32::MAX, order));
        for (bits, order) in orders.iter_mut().filter(|(_, order)| numbers.len() > *order as usize) {
            differences(*order, numbers, scratch);
            let middle = scratch[scratch.len() / 2];
            *bits = scratch.iter().map(|n| bits_of(unsigned(n.wrapping_sub(middle) as i64))).sum();
        }
        orders.sort_unstable_by_key(|(bits, _)| *bits);
        let chosen = orders[..2].iter().filter(|(bits, _)| *bits < u32::MAX);
        let plans = chosen.map(|(_, order)| Plan::of_order(*order, numbers, scratch));
        plans.min_by_key(|plan| plan.cost).unwrap_or(Plan::WHOLE)
    }

    /// The cheapest plan of each order for which there are numbers enough; once one gives a line, of no further one.
    pub(in crate::codec) fn of_each_order(numbers: &[u64], scratch: &mut Vec<u64>) -> [Option<Plan>; 3] {
        let mut plans = [None; 3];
        for order in Order::ALL.into_iter().filter(|order| numbers.len() > *order as usize) {
            let plan = Plan::of_order(order, numbers, scratch);
            plans[order as usize] = Some(plan);
            if plan.width == 0 && plan.cost < 24 {
                break;
            }
        }
        plans
    }

    /// The cheapest plan of one order.
    fn of_order(order: Order, numbers: &[u64], scratch: &mut Vec<u64>) -> Plan {
        differences(order, numbers, scratch);
        // What the sums begin with: the first number, and the first step.
        let head = match (order, numbers) {
            (Order::Steps, [first, ..]) => 2 + signed_bytes(*first),
            (Order::Turns, [first, second, ..]) => 2 + signed_bytes(*first) + signed_bytes(second.wrapping_sub(*first)),
            _ => 2,
        };
        // Signed order: what is near zero on both sides lies together.
        for n in scratch.iter_mut() {
            *n ^= 1 << 63;
        }
        scratch.sort_unstable();
        let sorted = &scratch[..];
        let (first, last) = (sorted[0], sorted[sorted.len() - 1]);
        let mut width = bits_of(last - first);
        let mut best: Option<Plan> = None;
        loop {
            let (start, covered) = densest(sorted, width);
            // They may need less than they were given.
            width = bits_of(sorted[start + covered - 1] - sorted[start]);
            let outside = sorted.len() - covered;
            let base = sorted[start] ^ (1 << 63);
            let exception = 1 + usize::from(outside > 0)
                * (bits_of(last - sorted[start]).max(bits_of(sorted[start] - first)) as usize + 1).div_ceil(7);
            let cost = head
                + signed_bytes(base)
                + (numbers.len() * width as usize).div_ceil(8)
                + usize::from(outside > 0) * 3
                + outside.min(numbers.len() / 128)
                + outside * exception;
            if best.is_none_or(|best| cost < best.cost) {
                best = Some(Plan { order, base, width, cost });
            }
            if width == 0 || outside > sorted.len() / 4 {
                break;
            }
            width -= 1;
        }
        best.unwrap_or(Plan { order, ..Plan::WHOLE })
    }
}

/// The numbers' differences of an order, wrapping, without the first `order` of them.
pub(in crate::codec) fn differences(order: Order, numbers: &[u64], out: &mut Vec<u64>) {
    out.clear();
    match order {
        Order::Values => out.extend_from_slice(numbers),
        Order::Steps => out.extend(numbers.windows(2).map(|two| two[1].wrapping_sub(two[0]))),
        Order::Turns => out.extend(
            numbers
                .windows(3)
                .map(|three| three[2].wrapping_sub(three[1]).wrapping_sub(three[1].wrapping_sub(three[0]))),
        ),
    }
}

/// Where the run of sorted numbers begins that spans less than `2^width` and is longest, and its length.
fn densest(sorted: &[u64], width: u32) -> (usize, usize) {
    let span = if width == 0 { 0 } else { u64::MAX >> (64 - width) };
    let (mut best, mut end) = ((0, 0), 0);
    for (start, from) in sorted.iter().enumerate() {
        while end < sorted.len() && sorted[end] - from <= span {
            end += 1;
        }
        if end - start > best.1 {
            best = (start, end - start);
        }
        if end == sorted.len() {
            break;
        }
    }
    best
}

/// The bits that a number needs.
pub(super) fn bits_of(n: u64) -> u32 {
    64 - n.leading_zeros()
}

/// The bytes of the number as a signed varint.
fn signed_bytes(n: u64) -> usize {
    (bits_of(unsigned(n as i64) | 1) as usize).div_ceil(7)
}
