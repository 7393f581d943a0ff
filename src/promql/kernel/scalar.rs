//! Operators and functions from numbers to a number, as Go's `math` defines them.

use super::{BinaryOp, Function, calendar};

/// The result of an arithmetic operator; of a comparison, 1 or 0.
///
/// The set operators have no value on numbers: NaN.
#[inline]
pub fn binary(op: BinaryOp, l: f64, r: f64) -> f64 {
    match op {
        BinaryOp::Add => l + r,
        BinaryOp::Sub => l - r,
        BinaryOp::Mul => l * r,
        BinaryOp::Div => l / r,
        BinaryOp::Mod => l % r,
        BinaryOp::Pow => l.powf(r),
        BinaryOp::Atan2 => l.atan2(r),
        BinaryOp::And | BinaryOp::Or | BinaryOp::Unless => f64::NAN,
        _ => f64::from(u8::from(compare(op, l, r))),
    }
}

/// Whether a comparison holds; false for every other operator.
#[inline]
pub fn compare(op: BinaryOp, l: f64, r: f64) -> bool {
    match op {
        BinaryOp::Eq => l == r,
        BinaryOp::Ne => l != r,
        BinaryOp::Lt => l < r,
        BinaryOp::Le => l <= r,
        BinaryOp::Gt => l > r,
        BinaryOp::Ge => l >= r,
        _ => false,
    }
}

/// A function of one number; `args` are the scalar arguments after the vector, those left out
/// left out here too. A function that is not of this kind gives NaN.
///
/// `clamp` with a minimum above its maximum has an empty result: that is the caller's to see.
pub fn unary_math(function: Function, v: f64, args: &[f64]) -> f64 {
    let arg = |at: usize, default: f64| args.get(at).copied().unwrap_or(default);
    match function {
        Function::Abs => v.abs(),
        Function::Ceil => v.ceil(),
        Function::Exp => v.exp(),
        Function::Floor => v.floor(),
        Function::Ln => v.ln(),
        Function::Log2 => v.log2(),
        Function::Log10 => v.log10(),
        Function::Sqrt => v.sqrt(),
        Function::Sin => v.sin(),
        Function::Cos => v.cos(),
        Function::Tan => v.tan(),
        Function::Asin => v.asin(),
        Function::Acos => v.acos(),
        Function::Atan => v.atan(),
        Function::Sinh => v.sinh(),
        Function::Cosh => v.cosh(),
        Function::Tanh => v.tanh(),
        Function::Asinh => asinh(v),
        Function::Acosh => acosh(v),
        Function::Atanh => atanh(v),
        Function::Deg => v * 180.0 / std::f64::consts::PI,
        Function::Rad => v * std::f64::consts::PI / 180.0,
        Function::Sgn if v < 0.0 => -1.0,
        Function::Sgn if v > 0.0 => 1.0,
        Function::Sgn => v,
        Function::Clamp => max(arg(0, f64::NEG_INFINITY), min(arg(1, f64::INFINITY), v)),
        Function::ClampMin => max(arg(0, f64::NEG_INFINITY), v),
        Function::ClampMax => min(arg(0, f64::INFINITY), v),
        Function::Round => {
            // Multiplying by the inverse keeps 0.1 from being hit by 0.1's own error.
            let inverse = 1.0 / arg(0, 1.0);
            (v * inverse + 0.5).floor() / inverse
        }
        Function::Minute
        | Function::Hour
        | Function::DayOfWeek
        | Function::DayOfMonth
        | Function::DayOfYear
        | Function::DaysInMonth
        | Function::Month
        | Function::Year => calendar::part(function, v),
        _ => f64::NAN,
    }
}

/// Go's `math.Max`: NaN wins over all but +Inf, and of zeros the positive one.
fn max(a: f64, b: f64) -> f64 {
    match (a.is_nan() || b.is_nan(), a == f64::INFINITY || b == f64::INFINITY) {
        (_, true) => f64::INFINITY,
        (true, false) => f64::NAN,
        (false, false) if a == 0.0 && b == 0.0 => a + b,
        (false, false) => a.max(b),
    }
}

/// Go's `math.Min`: NaN wins over all but -Inf, and of zeros the negative one.
fn min(a: f64, b: f64) -> f64 {
    match (a.is_nan() || b.is_nan(), a == f64::NEG_INFINITY || b == f64::NEG_INFINITY) {
        (_, true) => f64::NEG_INFINITY,
        (true, false) => f64::NAN,
        (false, false) if a == 0.0 && b == 0.0 => -(-a - b),
        (false, false) => a.min(b),
    }
}

/// From here on the square of a value swallows the 1 beside it, and would at last overflow.
const SQUARE_ALONE: f64 = (1_u32 << 28) as f64;

fn asinh(v: f64) -> f64 {
    if v.abs() > SQUARE_ALONE { (v.abs().ln() + std::f64::consts::LN_2).copysign(v) } else { v.asinh() }
}

fn acosh(v: f64) -> f64 {
    if v > SQUARE_ALONE { v.ln() + std::f64::consts::LN_2 } else { v.acosh() }
}

/// Near -1 the library's formula cancels out half of the digits; near 1 it does not.
fn atanh(v: f64) -> f64 {
    v.abs().atanh().copysign(v)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_follow_go() {
        let check = |op, l: f64, r: f64, expected: f64| {
            assert_eq!(binary(op, l, r).to_bits(), expected.to_bits(), "{op:?} {l} {r}");
        };
        check(BinaryOp::Mod, -5.0, 3.0, -2.0);
        check(BinaryOp::Mod, 5.5, -2.0, 1.5);
        check(BinaryOp::Div, 1.0, 0.0, f64::INFINITY);
        check(BinaryOp::Pow, 2.0, 10.0, 1024.0);
        check(BinaryOp::Pow, 1.0, f64::NAN, 1.0);
        check(BinaryOp::Ge, 2.0, 2.0, 1.0);
        check(BinaryOp::Ne, f64::NAN, f64::NAN, 1.0);
        assert!(!compare(BinaryOp::Lt, f64::NAN, 1.0));
    }

    #[test]
    fn functions_follow_prometheus() {
        let check = |function, v: f64, args: &[f64], expected: f64| {
            assert_eq!(unary_math(function, v, args).to_bits(), expected.to_bits(), "{function:?} {v} {args:?}");
        };
        check(Function::Asinh, -1e308, &[], -709.889355822726);
        check(Function::Acosh, 1e308, &[], 709.889355822726);
        check(Function::Atanh, -1.0 + 1e-9, &[], -(1.0f64 - 1e-9).atanh());
        check(Function::Round, 2.5, &[], 3.0);
        check(Function::Round, -2.5, &[], -2.0);
        check(Function::Round, 0.15, &[0.1], 0.2);
        check(Function::Sgn, -0.5, &[], -1.0);
        check(Function::Sgn, 0.0, &[], 0.0);
        check(Function::Clamp, 5.0, &[1.0, 3.0], 3.0);
        check(Function::ClampMin, f64::NAN, &[1.0], f64::NAN);
        check(Function::ClampMax, 5.0, &[f64::NAN], f64::NAN);
        for (v, bound) in [(-0.0, 0.0), (0.0, -0.0)] {
            check(Function::ClampMax, v, &[bound], -0.0);
            check(Function::ClampMin, v, &[bound], 0.0);
        }
        check(Function::ClampMax, 0.0, &[0.0], 0.0);
        check(Function::ClampMin, -0.0, &[-0.0], -0.0);
    }
}
