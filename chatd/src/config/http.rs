//! What is served over HTTP, and to whom, as the hub is told it.

use hub::Website;
use proto::http::forwarded::ForwardedField;

use super::load::Settings;
use super::table::Value;
use super::text;
use crate::web;

/// The section `[http]`.
pub(super) fn website(settings: &Settings) -> Website {
    let value = |name| settings.get("http", name).map(|setting| &setting.value);
    let words = |name| match value(name) {
        Some(Value::Words(words)) => words.clone(),
        _ => Vec::new(),
    };
    let mut hosts = words("hosts");
    hosts.extend(own_names());
    let is_served = value("web").is_none_or(|web| *web == Value::Switch(true));
    Website {
        hosts,
        origins: words("origins"),
        trusted_proxies: match value("trusted_proxies") {
            Some(Value::Networks(networks)) => networks.clone(),
            _ => Vec::new(),
        },
        forwarded: match &*text(settings, "http", "forwarded") {
            "forwarded" => ForwardedField::Forwarded,
            _ => ForwardedField::XForwardedFor,
        },
        base_path: text(settings, "http", "base_path"),
        assets: if is_served { web::assets() } else { &[] },
        echo: Some(text(settings, "http", "ws_echo")).filter(|path| !path.is_empty()),
    }
}

/// What this machine is called, with its domain where it says so, and without.
fn own_names() -> Vec<String> {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    let name = name.unwrap_or_default().to_ascii_lowercase();
    let short = name.split('.').next().unwrap_or_default().to_owned();
    let mut names = vec![name, short];
    names.dedup();
    names.retain(|name| !name.is_empty());
    names
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(text: &str) -> Result<Website, String> {
        let mut settings = Settings::new();
        settings.read(Path::new("c"), text).map_err(|error| error.to_string())?;
        Ok(website(&settings))
    }

    fn refusal(line: &str) -> String {
        read(&format!("[http]\n{line}\n")).unwrap_err()
    }

    #[test]
    fn every_key_reaches_the_hub() {
        let all = "[http]\nhosts = [\"Chat.Example\", \"chat\"]\norigins = [\"https://a.example\", \"http://[::1]:8080\"]\n\
                   trusted_proxies = [\"127.0.0.0/8\"]\nforwarded = \"forwarded\"\nbase_path = \"/chat/\"\nweb = false\n\
                   ws_echo = \"/echo\"\n";
        let web = read(all).unwrap();
        assert_eq!(web.hosts[..2], ["chat.example", "chat"]);
        assert_eq!(web.origins, ["https://a.example", "http://[::1]:8080"]);
        assert_eq!(web.trusted_proxies.len(), 1);
        assert_eq!(web.forwarded, ForwardedField::Forwarded);
        assert_eq!((&*web.base_path, web.echo.as_deref()), ("/chat/", Some("/echo")));
        assert!(web.assets.is_empty());
    }

    #[test]
    fn as_it_comes_the_page_is_served_and_the_echo_is_not() {
        let web = read("").unwrap();
        assert!(!web.assets.is_empty());
        assert_eq!((&*web.base_path, web.echo), ("/", None));
        assert_eq!(web.hosts, own_names());
        assert!(web.origins.is_empty() && web.trusted_proxies.is_empty());
        assert_eq!(read("[http]\nws_echo = \"off\"\n").unwrap().echo, None);
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_to_write() {
        let host = "is no host name; write it like chat.example, without a port";
        for wrong in ["a:80", "https://a", "*", "-", "[::1]"] {
            let said = refusal(&format!("hosts = [\"{wrong}\"]"));
            assert_eq!(said, format!("c:2: http.hosts: '{wrong}' {host}"));
        }
        let origin = "is no origin; write SCHEME://HOST or SCHEME://HOST:PORT in small letters";
        for wrong in [
            "*",
            "null",
            "a.example",
            "https://A.example",
            "https://a/",
            "https://a:0",
            "https://a:x",
        ] {
            let said = refusal(&format!("origins = [\"{wrong}\"]"));
            assert_eq!(said, format!("c:2: http.origins: '{wrong}' {origin}"));
        }
        for wrong in ["chat/", "/chat", "//", "/a b/", "/a/../%41/"] {
            let said = refusal(&format!("base_path = \"{wrong}\""));
            assert_eq!(
                said,
                format!("c:2: http.base_path: '{wrong}' is no base path; write it like /chat/")
            );
        }
        assert_eq!(
            refusal("ws_echo = \"echo\""),
            "c:2: http.ws_echo: 'echo' is no path; write it like /echo"
        );
        assert!(
            refusal("trusted_proxies = [\"proxy\"]").starts_with("c:2: http.trusted_proxies: ")
        );
        assert!(refusal("forwarded = \"via\"").contains("is none of x-forwarded-for, forwarded"));
        assert_eq!(refusal("web = \"yes\""), "c:2: http.web: 'yes' is neither true nor false");
    }
}
