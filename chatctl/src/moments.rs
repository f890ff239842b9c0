//! Times as people write them: `10s` and `2h` for spans, `10m`, `14:30`, `2026-01-31` or RFC 3339 for
//! moments, and moments printed in the user's own time zone.
//!
//! It reads no clock: the present moment is an argument.

use jiff::{Timestamp, ToSpan, Zoned, civil};
use proto::Span;

/// The units of a span, the longest spelling first where one ends with another.
const UNITS: [(&str, u64); 7] = [
    ("us", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("m", 60_000_000),
    ("h", 3_600_000_000),
    ("d", 86_400_000_000),
    ("w", 604_800_000_000),
];

/// The longest span that is taken: past it a typing error is likelier than patience.
const SPAN_DAYS_MAX: u64 = 36_500;

/// A span as in `500ms`, `10s`, `1h30m`; a bare number is seconds.
pub fn span(text: &str) -> Result<Span, String> {
    let help = || format!("`{text}` is no duration; write it like 500ms, 10s, 5m, 1h30m or 2d");
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(help());
    }
    if let Ok(seconds) = rest.parse::<u64>() {
        let micros = seconds.checked_mul(1_000_000).ok_or_else(help)?;
        return limited(micros, text);
    }
    let mut sum = 0_u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(help)?;
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let (_, micros) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(help)?;
        let number: u64 = number.parse().map_err(|_| help())?;
        sum =
            number.checked_mul(*micros).and_then(|part| sum.checked_add(part)).ok_or_else(help)?;
        rest = after;
    }
    limited(sum, text)
}

/// A moment: a span ago, a time of day today (or yesterday, where it is still to come), a day, or RFC 3339.
pub fn moment(text: &str, now: &Zoned) -> Result<Timestamp, String> {
    let text = text.trim();
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Ok(timestamp);
    }
    if !text.chars().all(|c| c.is_ascii_digit())
        && let Ok(ago) = span(text)
    {
        let micros = i64::try_from(ago.as_micros()).unwrap_or(i64::MAX);
        return now.timestamp().checked_sub(micros.microseconds()).map_err(|e| e.to_string());
    }
    // A day with a time would be read as a time alone.
    if !text.contains('-')
        && let Ok(time) = text.parse::<civil::Time>()
    {
        let today = now.with().time(time).build().map_err(|e| e.to_string())?;
        let last = if today > *now { today.checked_sub(1.day()) } else { Ok(today) };
        return last.map(|zoned| zoned.timestamp()).map_err(|e| e.to_string());
    }
    if let Ok(local) = text.replacen(' ', "T", 1).parse::<civil::DateTime>() {
        let zoned = local.to_zoned(now.time_zone().clone()).map_err(|e| e.to_string())?;
        return Ok(zoned.timestamp());
    }
    Err(format!("`{text}` is no time; write it like 10m (ago), 14:30, 2026-01-31 or RFC 3339"))
}

/// A moment in the form of the protocol.
pub fn rfc3339(moment: Timestamp) -> String {
    format!("{moment:.6}")
}

/// A time of the protocol as a person reads it: of today only the time where `brief`, else with its day.
pub fn shown(time: &str, now: &Zoned, brief: bool) -> String {
    let Ok(moment) = time.parse::<Timestamp>() else { return time.to_owned() };
    let local = moment.to_zoned(now.time_zone().clone());
    let form = if brief && local.date() == now.date() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
    local.strftime(form).to_string()
}

/// A span as a person reads it: `3d 4h`, `2m 5s`, `1.25 ms`; of a fraction no more than tells something.
pub fn span_shown(micros: u64) -> String {
    let seconds = micros / 1_000_000;
    match seconds {
        0 if micros < 1_000 => format!("{micros} us"),
        0 if micros < 10_000 => format!("{} ms", fraction(micros / 10, 2)),
        0 => format!("{} ms", micros / 1_000),
        1..10 => format!("{} s", fraction(micros / 100_000, 1)),
        10..60 => format!("{seconds} s"),
        60..3_600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// A number of which so many digits are behind the point, without zeros at the end.
fn fraction(number: u64, digits: u32) -> String {
    let unit = 10_u64.pow(digits);
    let (whole, rest) = (number / unit, number % unit);
    let width = digits as usize;
    let text = format!("{whole}.{rest:0width$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Whether a protocol time is earlier than `moment`; what cannot be read is not.
pub fn is_before(time: &str, moment: Timestamp) -> bool {
    time.parse::<Timestamp>().is_ok_and(|time| time < moment)
}

fn limited(micros: u64, text: &str) -> Result<Span, String> {
    if micros / 86_400_000_000 > SPAN_DAYS_MAX {
        return Err(format!("`{text}` is longer than {SPAN_DAYS_MAX} days"));
    }
    Ok(Span::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::{moment, rfc3339, shown, span, span_shown};

    fn noon() -> jiff::Zoned {
        "2026-03-01T12:00:00+00:00[UTC]".parse().expect("a moment")
    }

    #[test]
    fn spans_are_written_as_people_write_them() {
        for (text, micros) in [
            ("10s", 10_000_000),
            ("500ms", 500_000),
            ("1h30m", 5_400_000_000),
            ("2", 2_000_000),
            ("0", 0),
            ("1d", 86_400_000_000),
        ] {
            assert_eq!(span(text).map(proto::Span::as_micros), Ok(micros), "{text}");
        }
        for text in ["", "s", "10x", "-1s", "1.5s", "10 s", "99999999999999999999s", "999999d"] {
            assert!(span(text).is_err(), "{text}");
        }
    }

    #[test]
    fn moments_are_ago_or_of_the_day_or_absolute() {
        for (text, expected) in [
            ("10m", "2026-03-01T11:50:00.000000Z"),
            ("11:30", "2026-03-01T11:30:00.000000Z"),
            ("14:30", "2026-02-28T14:30:00.000000Z"),
            ("2026-02-01", "2026-02-01T00:00:00.000000Z"),
            ("2026-02-01 08:15", "2026-02-01T08:15:00.000000Z"),
            ("2026-02-01T00:00:00.5Z", "2026-02-01T00:00:00.500000Z"),
        ] {
            assert_eq!(moment(text, &noon()).map(rfc3339).as_deref(), Ok(expected), "{text}");
        }
        assert!(moment("soon", &noon()).is_err());
        assert!(moment("25:00", &noon()).is_err());
    }

    #[test]
    fn todays_moments_are_brief() {
        assert_eq!(shown("2026-03-01T11:00:00.123456Z", &noon(), true), "11:00:00");
        assert_eq!(shown("2026-02-01T11:00:00.123456Z", &noon(), true), "2026-02-01 11:00:00");
        assert_eq!(shown("2026-03-01T11:00:00.123456Z", &noon(), false), "2026-03-01 11:00:00");
        assert_eq!(shown("nonsense", &noon(), true), "nonsense");
    }

    #[test]
    fn spans_read_easily() {
        assert_eq!(span_shown(250), "250 us");
        assert_eq!(span_shown(1_250), "1.25 ms");
        assert_eq!([1_000, 2_500, 1_050].map(span_shown), ["1 ms", "2.5 ms", "1.05 ms"]);
        assert_eq!([10_000, 999_999].map(span_shown), ["10 ms", "999 ms"]);
        assert_eq!([1_000_000, 2_540_000, 10_900_000].map(span_shown), ["1 s", "2.5 s", "10 s"]);
        assert_eq!(span_shown(90_000_000), "1m 30s");
        assert_eq!(span_shown(90_000_000_000), "1d 1h");
    }
}
