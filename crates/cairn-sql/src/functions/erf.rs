//! The error function and its complement, by the rational approximations that C libraries use: the same digits as theirs.
//!
//! Source: Sun Microsystems, fdlibm, `s_erf.c`.

/// erf(1), rounded to few bits.
const ERX: f64 = 0.845_062_911_510_467_5;
/// 2/√π - 1.
const EFX: f64 = 0.128_379_167_095_512_6;

const PP: [f64; 5] = [
    0.128_379_167_095_512_56,
    -0.325_042_107_247_001_5,
    -0.028_481_749_575_598_51,
    -0.005_770_270_296_489_442,
    -2.376_301_665_665_016_3e-05,
];
const QQ: [f64; 6] = [
    1.0,
    0.397_917_223_959_155_35,
    0.065_022_249_988_767_3,
    0.005_081_306_281_875_766,
    0.000_132_494_738_004_321_64,
    -3.960_228_278_775_368e-06,
];
const PA: [f64; 7] = [
    -0.002_362_118_560_752_659_4,
    0.414_856_118_683_748_33,
    -0.372_207_876_035_701_3,
    0.318_346_619_901_161_75,
    -0.110_894_694_282_396_68,
    0.035_478_304_325_618_236,
    -0.002_166_375_594_868_791,
];
const QA: [f64; 7] = [
    1.0,
    0.106_420_880_400_844_23,
    0.540_397_917_702_171,
    0.071_828_654_414_196_27,
    0.126_171_219_808_761_64,
    0.013_637_083_912_029_05,
    0.011_984_499_846_799_107,
];
const RA: [f64; 8] = [
    -0.009_864_944_034_847_148,
    -0.693_858_572_707_181_8,
    -10.558_626_225_323_291,
    -62.375_332_450_326_006,
    -162.396_669_462_573_47,
    -184.605_092_906_711_04,
    -81.287_435_506_306_6,
    -9.814_329_344_169_145,
];
const SA: [f64; 9] = [
    1.0,
    19.651_271_667_439_257,
    137.657_754_143_519_04,
    434.565_877_475_229_23,
    645.387_271_733_267_9,
    429.008_140_027_567_83,
    108.635_005_541_779_44,
    6.570_249_770_319_282,
    -0.060_424_415_214_858_1,
];
const RB: [f64; 7] = [
    -0.009_864_942_924_700_1,
    -0.799_283_237_680_523,
    -17.757_954_917_754_752,
    -160.636_384_855_821_92,
    -637.566_443_368_389_6,
    -1_025.095_131_611_077_2,
    -483.519_191_608_651_4,
];
const SB: [f64; 8] = [
    1.0,
    30.338_060_743_482_46,
    325.792_512_996_573_9,
    1_536.729_586_084_437,
    3_199.858_219_508_595_5,
    2_553.050_406_433_164_4,
    474.528_541_206_955_37,
    -22.440_952_446_585_82,
];

/// The polynomial with these coefficients, that of the lowest power first.
fn polynomial(coefficients: &[f64], x: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, coefficient| sum * x + coefficient)
}

/// erfc of what is at least 1.25, and below 28.
fn tail(x: f64) -> f64 {
    let s = 1.0 / (x * x);
    let ratio = match x < 1.0 / 0.35 {
        true => polynomial(&RA, s) / polynomial(&SA, s),
        false => polynomial(&RB, s) / polynomial(&SB, s),
    };
    let z = f64::from_bits(x.to_bits() & 0xffff_ffff_0000_0000);
    (-z * z - 0.5625).exp() * ((z - x) * (z + x) + ratio).exp() / x
}

/// The part of erf from 0.84375 to 1.25, above [`ERX`].
fn middle(x: f64) -> f64 {
    let s = x - 1.0;
    polynomial(&PA, s) / polynomial(&QA, s)
}

/// The error function.
pub(super) fn erf(x: f64) -> f64 {
    let size = x.abs();
    if x.is_nan() {
        return x;
    }
    if size < 0.84375 {
        if size < 3.725_290_298_461_914e-09 {
            return x + EFX * x;
        }
        let z = x * x;
        return x + x * (polynomial(&PP, z) / polynomial(&QQ, z));
    }
    let value = if size < 1.25 {
        ERX + middle(size)
    } else if size >= 6.0 {
        1.0
    } else {
        1.0 - tail(size)
    };
    value.copysign(x)
}

/// Its complement.
pub(super) fn erfc(x: f64) -> f64 {
    let size = x.abs();
    if x.is_nan() {
        return x;
    }
    if size < 0.84375 {
        if size < 1.387_778_780_781_445_7e-17 {
            return 1.0 - x;
        }
        let z = x * x;
        let y = polynomial(&PP, z) / polynomial(&QQ, z);
        return if x < 0.25 { 1.0 - (x + x * y) } else { 0.5 - (x - 0.5 + x * y) };
    }
    if size < 1.25 {
        return if x >= 0.0 { 1.0 - ERX - middle(size) } else { 1.0 + (ERX + middle(size)) };
    }
    match (size < 28.0, x > 0.0) {
        (true, true) => tail(size),
        (true, false) if x < -6.0 => 2.0,
        (true, false) => 2.0 - tail(size),
        (false, true) => 0.0,
        (false, false) => 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_c_libraries_to_the_last_digit_but_one() {
        let close = |own: f64, of: f64| (own - of).abs() <= of.abs() * f64::EPSILON;
        for (x, of, complement) in [
            (0.1, 0.1124629160182849, 0.8875370839817152),
            (0.3, 0.3286267594591274, 0.6713732405408726),
            (0.5, 0.5204998778130465, 0.4795001221869535),
            (0.8, 0.7421009647076605, 0.2578990352923395),
            (0.9, 0.7969082124228322, 0.20309178757716786),
            (1.0, 0.8427007929497149, 0.15729920705028513),
            (1.2, 0.9103139782296353, 0.08968602177036465),
            (1.5, 0.9661051464753108, 0.033894853524689274),
            (2.0, 0.9953222650189527, 0.004677734981047265),
            (2.8, 0.9999249868053346, 7.501319466545911e-05),
            (3.0, 0.9999779095030014, 2.2090496998585438e-05),
            (4.5, 0.9999999998033839, 1.9661604415428873e-10),
            (5.5, 0.9999999999999927, 7.357847917974398e-15),
            (7.0, 1.0, 4.183825607779414e-23),
        ] {
            assert!(close(erf(x), of) && close(erfc(x), complement), "{x}: {} {}", erf(x), erfc(x));
            assert_eq!(erf(-x), -erf(x));
        }
    }
}
