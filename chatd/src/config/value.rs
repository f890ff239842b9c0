//! Values as people write them: durations, sizes, rates, networks, and `off`.

use std::net::SocketAddr;

use hub::Quota;
use proto::{Span, TOPIC_BYTES_MAX, printable_line};

/// A duration: `500ms`, `10s`, `5m`, `1h`, `30d`.
///
/// # Errors
/// What is wrong with it, as a sentence's end.
pub(crate) fn duration(text: &str) -> Result<Span, String> {
    let (number, unit) = split(text);
    let millis_by_unit = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => {
            return Err(format!(
                "'{text}' is no duration; write a number and ms, s, m, h or d, such as 10s"
            ));
        }
    };
    let number: u64 = number
        .parse()
        .map_err(|_| format!("'{text}' is no duration; write it like 10s or 500ms"))?;
    if number == 0 {
        return Err(format!("'{text}' is no time at all; write at least 1ms"));
    }
    let millis =
        number.checked_mul(millis_by_unit).filter(|millis| *millis <= 100 * 365 * 86_400_000);
    millis.map(Span::from_millis).ok_or_else(|| format!("'{text}' is longer than 100 years"))
}

/// A size in bytes: `65530`, `64KiB`, `1MiB`, `10GiB`.
///
/// # Errors
/// What is wrong with it, as a sentence's end.
pub(crate) fn size(text: &str) -> Result<usize, String> {
    let (number, unit) = split(text);
    let by_unit: usize = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "KB" | "MB" | "GB" | "K" | "M" | "G" | "kB" => {
            return Err(format!("'{text}' is ambiguous; write KiB, MiB or GiB"));
        }
        _ => {
            return Err(format!(
                "'{text}' is no size; write bytes, or a number and KiB, MiB or GiB"
            ));
        }
    };
    let number: usize =
        number.parse().map_err(|_| format!("'{text}' is no size; write it like 64KiB"))?;
    number
        .checked_mul(by_unit)
        .ok_or_else(|| format!("'{text}' is more than this machine can count"))
}

/// So many a second: `10/s`.
///
/// # Errors
/// What is wrong with it, as a sentence's end.
pub(crate) fn rate(text: &str) -> Result<u32, String> {
    let wrong =
        || format!("'{text}' is no rate; write a number of 1 or more a second, such as 10/s");
    let count = text.strip_suffix("/s").ok_or_else(wrong)?;
    count.trim().parse().ok().filter(|count| *count > 0).ok_or_else(wrong)
}

/// So many a second or a minute: `1/s`, `5/min`.
///
/// # Errors
/// What is wrong with it, as a sentence's end.
pub(crate) fn quota(text: &str) -> Result<Quota, String> {
    let wrong = || {
        format!(
            "'{text}' is no rate; write a number of 1 or more a second or minute, such as 1/s or 5/min"
        )
    };
    let (count, unit) = text.split_once('/').ok_or_else(wrong)?;
    let span = match unit {
        "s" => Span::from_secs(1),
        "min" | "m" => Span::from_secs(60),
        _ => return Err(wrong()),
    };
    let count = count.trim().parse().ok().filter(|count| *count > 0).ok_or_else(wrong)?;
    Ok(Quota { count, span })
}

/// So many bytes a second: `256KiB/s`.
///
/// # Errors
/// What is wrong with it, as a sentence's end.
pub(crate) fn byte_rate(text: &str) -> Result<u32, String> {
    let wrong = || format!("'{text}' is no rate; write a size a second, such as 256KiB/s");
    let bytes = size(text.strip_suffix("/s").ok_or_else(wrong)?.trim())?;
    u32::try_from(bytes).ok().filter(|bytes| *bytes > 0).ok_or_else(wrong)
}

/// An address and port: `127.0.0.1:33333`, `[::]:33333`.
///
/// # Errors
/// What is wrong with it, as a sentence's end.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("'{text}' is no address and port; write it like 127.0.0.1:33333 or [::]:33333")
    })
}

/// Groups by name or number, one a line: a name of another system may have spaces in it.
///
/// # Errors
/// What is wrong with it, as a sentence's end.
pub(crate) fn groups(text: &str) -> Result<Vec<String>, String> {
    let mut groups = Vec::new();
    for name in text.split('\n').filter(|_| !text.is_empty()) {
        if name.trim().is_empty() || name.chars().any(char::is_control) {
            return Err("a group has a name or a number; this one is empty or no text".to_owned());
        }
        groups.push(name.to_owned());
    }
    Ok(groups)
}

/// What a room is about: one line for people.
///
/// # Errors
/// What is wrong with it, as a sentence's end.
pub(crate) fn topic(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > TOPIC_BYTES_MAX || !printable_line(text) {
        return Err(format!(
            "write a line of 1 to {TOPIC_BYTES_MAX} bytes without control or invisible characters; this one has {} bytes",
            text.len()
        ));
    }
    Ok(text.to_owned())
}

/// Who may open a file: `0666`.
///
/// # Errors
/// What is wrong with it, as a sentence's end.
pub(crate) fn mode(text: &str) -> Result<u32, String> {
    let wrong =
        || format!("'{text}' is no mode; write it as octal digits in quotes, such as \"0660\"");
    // What TOML calls an octal number is fine, too.
    let digits = text.strip_prefix("0o").unwrap_or(text);
    if digits.len() > 4 || !digits.bytes().all(|digit| (b'0'..=b'7').contains(&digit)) {
        return Err(wrong());
    }
    let mode =
        u32::from_str_radix(digits, 8).ok().filter(|mode| *mode <= 0o777).ok_or_else(wrong)?;
    if mode & 0o600 != 0o600 {
        return Err(format!("'{text}' shuts out chatd's own user; write at least \"0600\""));
    }
    Ok(mode)
}

fn split(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim_start())
}

/// Host names, one a line, without ports; in small letters.
///
/// # Errors
/// What is wrong with one of them, as a sentence's end.
pub(crate) fn hosts(text: &str) -> Result<Vec<String>, String> {
    text.split_whitespace().map(host).collect()
}

fn host(name: &str) -> Result<String, String> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let fits = name.bytes().all(is_name) && name.bytes().any(|byte| byte.is_ascii_alphanumeric());
    let wrong = || format!("'{name}' is no host name; write it like chat.example, without a port");
    fits.then(|| name.to_ascii_lowercase()).ok_or_else(wrong)
}

/// Origins, one a line, as browsers write them.
///
/// # Errors
/// What is wrong with one of them, as a sentence's end.
pub(crate) fn origins(text: &str) -> Result<Vec<String>, String> {
    text.split_whitespace().map(origin).collect()
}

fn origin(text: &str) -> Result<String, String> {
    let wrong = || {
        format!("'{text}' is no origin; write SCHEME://HOST or SCHEME://HOST:PORT in small letters")
    };
    let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
    let is_scheme = !scheme.is_empty()
        && scheme.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'+' | b'-'));
    let (name, port) = match rest.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (rest, None),
    };
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let is_host = match bare {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host(name).is_ok_and(|small| small == name),
    };
    (is_scheme && is_port && is_host).then(|| text.to_owned()).ok_or_else(wrong)
}

/// What all paths begin with.
///
/// # Errors
/// What is wrong with it, as a sentence's end.
pub(crate) fn base_path(text: &str) -> Result<String, String> {
    let fits = is_path(text) && text.ends_with('/');
    let wrong = || format!("'{text}' is no base path; write it like /chat/");
    fits.then(|| text.to_owned()).ok_or_else(wrong)
}

/// A path.
///
/// # Errors
/// What is wrong with it, as a sentence's end.
pub(crate) fn path(text: &str) -> Result<String, String> {
    let fits = is_path(text) && text.len() > 1;
    let wrong = || format!("'{text}' is no path; write it like /echo");
    fits.then(|| text.to_owned()).ok_or_else(wrong)
}

/// Whether a path can be written into a request as it is.
fn is_path(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    text.starts_with('/') && !text.contains("//") && text.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_written_as_people_write_them() {
        assert_eq!(duration("500ms"), Ok(Span::from_millis(500)));
        assert_eq!(duration("30d"), Ok(Span::from_secs(30 * 86_400)));
        assert_eq!(size("65530"), Ok(65_530));
        assert_eq!(size("64KiB"), Ok(65_536));
        assert_eq!(rate("10/s"), Ok(10));
        assert_eq!(byte_rate("256KiB/s"), Ok(262_144));
        assert_eq!(quota("1/s"), Ok(Quota { count: 1, span: Span::from_secs(1) }));
        assert_eq!(quota("5/min"), Ok(Quota { count: 5, span: Span::from_secs(60) }));
    }

    #[test]
    fn a_mode_is_octal_and_lets_its_owner_in() {
        assert_eq!((mode("0666"), mode("600"), mode("0o777")), (Ok(0o666), Ok(0o600), Ok(0o777)));
        let wrong = "'rw' is no mode; write it as octal digits in quotes, such as \"0660\"";
        assert_eq!(mode("rw").unwrap_err(), wrong);
        for text in ["", "0888", "1777", "00666", "+666", "438"] {
            assert!(mode(text).is_err(), "{text}");
        }
        let shut = "'0066' shuts out chatd's own user; write at least \"0600\"";
        assert_eq!(mode("0066").unwrap_err(), shut);
    }

    #[test]
    fn groups_are_one_a_line() {
        assert_eq!(groups(""), Ok(Vec::new()));
        assert_eq!(groups("chat\n100"), Ok(vec!["chat".to_owned(), "100".to_owned()]));
        assert!(groups("chat\n\nops").is_err() && groups("a\tb").is_err());
    }

    #[test]
    fn a_wrong_value_says_what_to_write() {
        assert_eq!(
            duration("10 parsecs").unwrap_err(),
            "'10 parsecs' is no duration; write a number and ms, s, m, h or d, such as 10s"
        );
        assert_eq!(duration("0s").unwrap_err(), "'0s' is no time at all; write at least 1ms");
        assert_eq!(size("64KB").unwrap_err(), "'64KB' is ambiguous; write KiB, MiB or GiB");
        assert_eq!(
            rate("0/s").unwrap_err(),
            "'0/s' is no rate; write a number of 1 or more a second, such as 10/s"
        );
        assert_eq!(
            quota("5/h").unwrap_err(),
            "'5/h' is no rate; write a number of 1 or more a second or minute, such as 1/s or 5/min"
        );
        assert!(quota("0/min").is_err() && quota("5").is_err());
        assert!(duration("99999999999999999999d").is_err() && size("99999999999GiB").is_err());
    }
}
