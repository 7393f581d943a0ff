//! scratch
#[cfg(test)]
mod tests {
    use serde::de::*;
    use serde_saphyr::Spanned;
    #[derive(Debug)]
    struct N(#[allow(dead_code)] String);
    struct V;
    impl<'de> Visitor<'de> for V {
        type Value = N;
        fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result { write!(f, "x") }
        fn visit_bool<E>(self, v: bool) -> Result<N, E> { Ok(N(format!("bool {v}"))) }
        fn visit_i64<E>(self, v: i64) -> Result<N, E> { Ok(N(format!("i64 {v}"))) }
        fn visit_u64<E>(self, v: u64) -> Result<N, E> { Ok(N(format!("u64 {v}"))) }
        fn visit_f64<E>(self, v: f64) -> Result<N, E> { Ok(N(format!("f64 {v}"))) }
        fn visit_str<E>(self, v: &str) -> Result<N, E> { Ok(N(format!("str {v:?}"))) }
        fn visit_unit<E>(self) -> Result<N, E> { Ok(N("null".into())) }
        fn visit_seq<A: SeqAccess<'de>>(self, mut a: A) -> Result<N, A::Error> {
            while let Some(x) = a.next_element::<Spanned<N>>()? { show(&x, ""); }
            Ok(N("seq".into()))
        }
        fn visit_map<A: MapAccess<'de>>(self, mut a: A) -> Result<N, A::Error> {
            while let Some(k) = a.next_key::<Spanned<String>>()? {
                let v = a.next_value::<Spanned<N>>()?;
                show(&v, &format!("key {} {}:{}", k.value, k.defined.line(), k.defined.column()));
            }
            Ok(N("map".into()))
        }
    }
    fn show(x: &Spanned<N>, k: &str) {
        let s = x.defined.span();
        println!("{k} -> {:?} {}:{} bytes {:?}+{:?} ref {}:{}", x.value, x.defined.line(), x.defined.column(), s.byte_offset(), s.byte_len(), x.referenced.line(), x.referenced.column());
    }
    impl<'de> Deserialize<'de> for N { fn deserialize<D: Deserializer<'de>>(d: D) -> Result<N, D::Error> { d.deserialize_any(V) } }
    #[test]
    fn scratch() {
        let t = "a: 1.0\nb: 0x10\nc: true\nd: ~\ne:\nf: 5m\ng: \"x\\\"y\"\nh: |\n  up ==\n    0\ni: >-\n  a\n  b\nj: &x {k: v}\nl: *x\nm: [1e3, yes, 007]\nn: +5\no: 123456789012345678901234567890\np: éé # c\nq: 'a''b'\nr: .inf\n";
        let opts = serde_saphyr::options!{ with_snippet: false, strict_booleans: true, non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::PassThrough };
        let r: Result<Spanned<N>, _> = serde_saphyr::from_str_with_options(t, opts);
        println!("{r:?}");
        let e: Result<Spanned<N>, _> = serde_saphyr::from_str_with_options("a: [1\nb: 2\na: 3\n", serde_saphyr::options!{ with_snippet: false });
        let e = e.unwrap_err();
        println!("{:?} | {} | {:?}", e, e, e.location().map(|l| (l.line(), l.column())));
        for bad in ["a: 1\na: 2\n", "a: b: c\n", "\tx: 1\n", "a: 1\n---\nb: 2\n", "", "- a\n- b: [", "a: *nope\n", "a: \"x\n", "a: {b: 1\n"] {
            let e: Result<Spanned<N>, _> = serde_saphyr::from_str_with_options(bad, serde_saphyr::options!{ with_snippet: false });
            match e { Ok(v) => println!("{bad:?} OK {v:?}"), Err(e) => println!("{bad:?} | {} | {:?}", e, e.location().map(|l| (l.line(), l.column()))) }
        }
    }
}
