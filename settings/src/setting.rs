//! How one TOML value becomes a typed value.

use std::{path::PathBuf, time::Duration};

use toml::de::DeValue;

/// Why a value can't be used, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// What is wrong.
    pub problem: String,
    /// What to write instead.
    pub cure: String,
}

impl Wrong {
    /// A wrong value with its cure.
    pub fn new(problem: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { problem: problem.into(), cure: cure.into() }
    }

    fn kind(value: &DeValue<'_>, wanted: &str) -> Self {
        Self::new(format!("is a TOML {}", value.type_str()), format!("write {wanted}"))
    }
}

/// A type that one TOML value can be read as.
pub trait Setting: Sized {
    /// Reads it.
    fn read(value: &DeValue<'_>) -> Result<Self, Wrong>;
}

impl Setting for String {
    fn read(value: &DeValue<'_>) -> Result<Self, Wrong> {
        value.as_str().map(str::to_owned).ok_or_else(|| Wrong::kind(value, "a text in quotes"))
    }
}

impl Setting for PathBuf {
    fn read(value: &DeValue<'_>) -> Result<Self, Wrong> {
        String::read(value).map(PathBuf::from)
    }
}

impl Setting for bool {
    fn read(value: &DeValue<'_>) -> Result<Self, Wrong> {
        value.as_bool().ok_or_else(|| Wrong::kind(value, "true or false"))
    }
}

macro_rules! unsigned {
    ($($number:ty),*) => {$(
        impl Setting for $number {
            fn read(value: &DeValue<'_>) -> Result<Self, Wrong> {
                let wanted = concat!("a whole number from 0 to ", stringify!($number), "'s bound, such as 4");
                let integer = value.as_integer().ok_or_else(|| Wrong::kind(value, wanted))?;
                <$number>::from_str_radix(integer.as_str(), integer.radix())
                    .map_err(|error| Wrong::new(format!("{}: {error}", integer.as_str()), format!("write {wanted}")))
            }
        }
    )*};
}

unsigned!(u16, u32, u64, usize);

impl Setting for f64 {
    fn read(value: &DeValue<'_>) -> Result<Self, Wrong> {
        let text = match value {
            DeValue::Float(float) => float.as_str(),
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
            other => return Err(Wrong::kind(other, "a number, such as 0.5")),
        };
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number),
            _ => Err(Wrong::new(format!("{text} is not finite"), "write a finite number")),
        }
    }
}

impl Setting for f32 {
    fn read(value: &DeValue<'_>) -> Result<Self, Wrong> {
        f64::read(value).map(|number| number as f32)
    }
}

impl Setting for Duration {
    fn read(value: &DeValue<'_>) -> Result<Self, Wrong> {
        let cure = "write a number with its unit, such as \"500ms\", \"10s\", \"5m\", \"2h\" or \"7d\"";
        let text = value.as_str().ok_or_else(|| Wrong::kind(value, cure.trim_start_matches("write ")))?;
        parse_duration(text).ok_or_else(|| Wrong::new(format!("{text:?} is no duration"), cure))
    }
}

impl<T: Setting> Setting for Vec<T> {
    fn read(value: &DeValue<'_>) -> Result<Self, Wrong> {
        let items = value.as_array().ok_or_else(|| Wrong::kind(value, "a list in [ ]"))?;
        items.iter().map(|item| T::read(item.get_ref())).collect()
    }
}

impl<T: Setting + Copy + Default, const N: usize> Setting for [T; N] {
    fn read(value: &DeValue<'_>) -> Result<Self, Wrong> {
        let items = Vec::<T>::read(value)?;
        let n_items = items.len();
        items.try_into().map_err(|_| Wrong::new(format!("has {n_items} numbers"), format!("write {N} numbers")))
    }
}

/// Reads `500ms`, `10s`, `1.5h`: a number and its unit (ms, s, m, h, d); `None` when it is none or beyond 10 years.
pub fn parse_duration(text: &str) -> Option<Duration> {
    const TEN_YEARS_S: f64 = 3650.0 * 86_400.0;
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit_at);
    let plain = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let seconds_per_unit = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    let seconds = number.parse::<f64>().ok().filter(|_| plain)? * seconds_per_unit;
    (seconds <= TEN_YEARS_S).then(|| Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_carry_their_unit() {
        let check = |text: &str, expected: Option<u64>| {
            assert_eq!(parse_duration(text), expected.map(Duration::from_millis), "{text}")
        };
        check("500ms", Some(500));
        check("10s", Some(10_000));
        check("1.5h", Some(5_400_000));
        check("7d", Some(604_800_000));
        check("10", None);
        check("s", None);
        check("-1s", None);
        check("1e9s", None);
        check("99999999d", None);
        check("1w", None);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,20}") {
            let _ = parse_duration(&text);
        }
    }
}
