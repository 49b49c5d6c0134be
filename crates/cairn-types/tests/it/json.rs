//! JSON: what is accepted, JSONB's normal form.
#![allow(clippy::unwrap_used)]

use cairn_types::json::{DEPTH_MAX, normalise, validate};

#[test]
fn normal_form() {
    let cases = [
        (r#" {"bb":1,"a":[1,2 , {}],"c":null,"bb":2} "#, r#"{"a": [1, 2, {}], "c": null, "bb": 2}"#),
        (r#"[1.0,1e3,1.5e-3,-0,12E+2,0.10,-1.20e1]"#, "[1.0, 1000, 0.0015, 0, 1200, 0.10, -12.0]"),
        (r#""\u0041\u00e9\ud83d\ude00\n\/\u0001""#, "\"Aé😀\\n/\\u0001\""),
        (r#"{"":0,"é":1,"z":2}"#, r#"{"": 0, "z": 2, "é": 1}"#),
        (r#"{"\"":0,"ab":1}"#, r#"{"\"": 0, "ab": 1}"#),
        ("true", "true"),
        ("[]", "[]"),
        (r#"{"a":{"b":1},"a":3}"#, r#"{"a": 3}"#),
    ];
    for (text, normal) in cases {
        assert_eq!(normalise(text).unwrap(), normal, "{text}");
        validate(text).unwrap();
        assert_eq!(normalise(normal).unwrap(), normal);
    }
}

#[test]
fn what_is_no_json() {
    for text in [
        "",
        " ",
        "{",
        "[1,]",
        "{\"a\"}",
        "{a:1}",
        "01",
        "1.",
        ".5",
        "+1",
        "1e",
        "nul",
        "tru e",
        "\"a",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\n\"",
        "[1 2]",
        "{} {}",
        "1a",
        "NaN",
        "'a'",
        "{\"a\":1,}",
        "\u{feff}1",
    ] {
        assert_eq!(validate(text).unwrap_err().sqlstate(), "22P02", "{text}");
        assert!(normalise(text).is_err(), "{text}");
    }
    // Plain JSON may hold what JSONB cannot.
    for text in ["\"\\u0000\"", "\"\\ud800\"", "\"\\udc00x\""] {
        validate(text).unwrap();
        assert!(normalise(text).is_err(), "{text}");
    }
    assert_eq!(normalise("1e999999999999").unwrap_err().sqlstate(), "22003");
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    validate(&nested(DEPTH_MAX)).unwrap();
    normalise(&nested(DEPTH_MAX)).unwrap();
    assert!(validate(&nested(DEPTH_MAX + 2)).is_err());
    assert!(validate(&"[".repeat(1_000_000)).is_err());
}
