//! The functions: names, arguments, results.

use super::value_type::ValueType;

/// The last argument may be repeated, or left out.
const REPEATED: usize = usize::MAX;

/// Declares the functions once: variant, name, argument types, how many of the last may be left
/// out (`REPEATED`: the last may also be repeated), result.
macro_rules! functions {
    ($($variant:ident $name:literal [$($arg:ident)*] optional $optional:tt -> $result:ident;)*) => {
        /// A function of the language.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "each is named as it is written")]
        pub enum Function { $($variant,)* }

        impl Function {
            /// Every function.
            pub const ALL: &'static [Function] = &[$(Function::$variant,)*];

            /// The name as it is written.
            pub fn name(self) -> &'static str {
                match self { $(Function::$variant => $name,)* }
            }

            /// The types of its arguments.
            pub fn args(self) -> &'static [ValueType] {
                match self { $(Function::$variant => &[$(ValueType::$arg,)*],)* }
            }

            /// How many of the last arguments may be left out; `usize::MAX`: one, or it may be repeated.
            pub fn optional(self) -> usize {
                match self { $(Function::$variant => $optional,)* }
            }

            /// The type of its result.
            pub fn result(self) -> ValueType {
                match self { $(Function::$variant => ValueType::$result,)* }
            }
        }
    };
}

functions! {
    Abs "abs" [Vector] optional 0 -> Vector;
    Absent "absent" [Vector] optional 0 -> Vector;
    AbsentOverTime "absent_over_time" [Matrix] optional 0 -> Vector;
    Acos "acos" [Vector] optional 0 -> Vector;
    Acosh "acosh" [Vector] optional 0 -> Vector;
    Asin "asin" [Vector] optional 0 -> Vector;
    Asinh "asinh" [Vector] optional 0 -> Vector;
    Atan "atan" [Vector] optional 0 -> Vector;
    Atanh "atanh" [Vector] optional 0 -> Vector;
    AvgOverTime "avg_over_time" [Matrix] optional 0 -> Vector;
    Ceil "ceil" [Vector] optional 0 -> Vector;
    Changes "changes" [Matrix] optional 0 -> Vector;
    Clamp "clamp" [Vector Scalar Scalar] optional 0 -> Vector;
    ClampMax "clamp_max" [Vector Scalar] optional 0 -> Vector;
    ClampMin "clamp_min" [Vector Scalar] optional 0 -> Vector;
    Cos "cos" [Vector] optional 0 -> Vector;
    Cosh "cosh" [Vector] optional 0 -> Vector;
    CountOverTime "count_over_time" [Matrix] optional 0 -> Vector;
    DayOfMonth "day_of_month" [Vector] optional 1 -> Vector;
    DayOfWeek "day_of_week" [Vector] optional 1 -> Vector;
    DayOfYear "day_of_year" [Vector] optional 1 -> Vector;
    DaysInMonth "days_in_month" [Vector] optional 1 -> Vector;
    Deg "deg" [Vector] optional 0 -> Vector;
    Delta "delta" [Matrix] optional 0 -> Vector;
    Deriv "deriv" [Matrix] optional 0 -> Vector;
    DoubleExponentialSmoothing "double_exponential_smoothing" [Matrix Scalar Scalar] optional 0 -> Vector;
    End "end" [] optional 0 -> Scalar;
    Exp "exp" [Vector] optional 0 -> Vector;
    FirstOverTime "first_over_time" [Matrix] optional 0 -> Vector;
    Floor "floor" [Vector] optional 0 -> Vector;
    HistogramAvg "histogram_avg" [Vector] optional 0 -> Vector;
    HistogramCount "histogram_count" [Vector] optional 0 -> Vector;
    HistogramFraction "histogram_fraction" [Scalar Scalar Vector] optional 0 -> Vector;
    HistogramQuantile "histogram_quantile" [Scalar Vector] optional 0 -> Vector;
    HistogramQuantiles "histogram_quantiles" [Vector String Scalar Scalar Scalar Scalar Scalar Scalar Scalar Scalar Scalar Scalar] optional 9 -> Vector;
    HistogramStddev "histogram_stddev" [Vector] optional 0 -> Vector;
    HistogramStdvar "histogram_stdvar" [Vector] optional 0 -> Vector;
    HistogramSum "histogram_sum" [Vector] optional 0 -> Vector;
    Hour "hour" [Vector] optional 1 -> Vector;
    Idelta "idelta" [Matrix] optional 0 -> Vector;
    Increase "increase" [Matrix] optional 0 -> Vector;
    Info "info" [Vector Vector] optional 1 -> Vector;
    Irate "irate" [Matrix] optional 0 -> Vector;
    LabelJoin "label_join" [Vector String String String] optional REPEATED -> Vector;
    LabelReplace "label_replace" [Vector String String String String] optional 0 -> Vector;
    LastOverTime "last_over_time" [Matrix] optional 0 -> Vector;
    Ln "ln" [Vector] optional 0 -> Vector;
    Log10 "log10" [Vector] optional 0 -> Vector;
    Log2 "log2" [Vector] optional 0 -> Vector;
    MadOverTime "mad_over_time" [Matrix] optional 0 -> Vector;
    MaxOf "max_of" [Scalar Scalar] optional 0 -> Scalar;
    MaxOverTime "max_over_time" [Matrix] optional 0 -> Vector;
    MinOf "min_of" [Scalar Scalar] optional 0 -> Scalar;
    MinOverTime "min_over_time" [Matrix] optional 0 -> Vector;
    Minute "minute" [Vector] optional 1 -> Vector;
    Month "month" [Vector] optional 1 -> Vector;
    Pi "pi" [] optional 0 -> Scalar;
    PredictLinear "predict_linear" [Matrix Scalar] optional 0 -> Vector;
    PresentOverTime "present_over_time" [Matrix] optional 0 -> Vector;
    QuantileOverTime "quantile_over_time" [Scalar Matrix] optional 0 -> Vector;
    Rad "rad" [Vector] optional 0 -> Vector;
    Range "range" [] optional 0 -> Scalar;
    Rate "rate" [Matrix] optional 0 -> Vector;
    Resets "resets" [Matrix] optional 0 -> Vector;
    Round "round" [Vector Scalar] optional 1 -> Vector;
    Scalar "scalar" [Vector] optional 0 -> Scalar;
    Sgn "sgn" [Vector] optional 0 -> Vector;
    Sin "sin" [Vector] optional 0 -> Vector;
    Sinh "sinh" [Vector] optional 0 -> Vector;
    Sort "sort" [Vector] optional 0 -> Vector;
    SortByLabel "sort_by_label" [Vector String] optional REPEATED -> Vector;
    SortByLabelDesc "sort_by_label_desc" [Vector String] optional REPEATED -> Vector;
    SortDesc "sort_desc" [Vector] optional 0 -> Vector;
    Sqrt "sqrt" [Vector] optional 0 -> Vector;
    Start "start" [] optional 0 -> Scalar;
    StartTimestamp "start_timestamp" [Vector] optional 0 -> Vector;
    StddevOverTime "stddev_over_time" [Matrix] optional 0 -> Vector;
    StdvarOverTime "stdvar_over_time" [Matrix] optional 0 -> Vector;
    Step "step" [] optional 0 -> Scalar;
    SumOverTime "sum_over_time" [Matrix] optional 0 -> Vector;
    Tan "tan" [Vector] optional 0 -> Vector;
    Tanh "tanh" [Vector] optional 0 -> Vector;
    Time "time" [] optional 0 -> Scalar;
    Timestamp "timestamp" [Vector] optional 0 -> Vector;
    TsOfFirstOverTime "ts_of_first_over_time" [Matrix] optional 0 -> Vector;
    TsOfLastOverTime "ts_of_last_over_time" [Matrix] optional 0 -> Vector;
    TsOfMaxOverTime "ts_of_max_over_time" [Matrix] optional 0 -> Vector;
    TsOfMinOverTime "ts_of_min_over_time" [Matrix] optional 0 -> Vector;
    Vector "vector" [Scalar] optional 0 -> Vector;
    Year "year" [Vector] optional 1 -> Vector;
}
