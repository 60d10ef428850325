//! The page: webhooks, deliveries, and what can be done about them. It works without scripts.

mod actions;
mod deliveries;
mod webhooks;

use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse};
use jiff::Timestamp;
use maud::{DOCTYPE, Markup, html};

use super::{Admin, Failure};
pub use actions::{act, transition};
pub use deliveries::{deliveries, delivery};
pub use webhooks::overview;

/// The style sheet.
pub async fn style() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("page/style.css"))
}

/// The script, which renews the overview while somebody looks.
pub async fn script() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("page/page.js"))
}

fn layout(title: &str, main: &Markup) -> Html<String> {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · lshookd" }
                link rel="stylesheet" href="/style.css";
                script src="/page.js" defer {}
            }
            body {
                header {
                    a href="/" { strong { "lshookd" } }
                    nav {
                        a href="/" { "Webhooks" }
                        a href="/deliveries" { "Deliveries" }
                        a href="/deliveries?state=dead" { "Dead" }
                        a href="/metrics" { "Metrics" }
                    }
                }
                main { (main) }
                footer { "lshookd " (env!("CARGO_PKG_VERSION")) " · times in UTC" }
            }
        }
    };
    Html(page.into_string())
}

fn button(admin: &Admin, action: &str, name: &str) -> Markup {
    html! {
        form method="post" action=(action) {
            input type="hidden" name="token" value=(admin.token.text());
            button { (name) }
        }
    }
}

/// A URL as whoever looks may see it: paths are secrets, too, unless one may change something.
fn seen_url(admin: &Admin, url: &str) -> String {
    if admin.settings.admin.write {
        return url.to_owned();
    }
    match url::Url::parse(url) {
        Ok(parsed) if parsed.path() == "/" && parsed.query().is_none() => url.to_owned(),
        Ok(parsed) => format!("{}/…", &parsed[..url::Position::BeforePath]),
        Err(_) => url.to_owned(),
    }
}

/// A moment to the second.
fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Something, or nothing.
fn or_nothing(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}
