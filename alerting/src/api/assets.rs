//! The console's files, embedded when it was built; pages of the console all begin with its index, which also says how people may
//! sign in, since before sign-in nothing is served that the page could ask.

use std::borrow::Cow;

use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use rust_embed::RustEmbed;

use super::{Api, problem::Problem};

#[derive(RustEmbed)]
#[folder = "console/dist"]
struct Console;

const NOT_BUILT: &str = "The console is not built into this program.\n\n\
    cd alerting/console && npm ci && npm run build, then build the program again.\n\
    The API is under /api/v1, its description at /openapi.json.\n";

const INDEX: &str = "index.html";
/// Stands in the index where people may sign in by an identity provider.
const BY_PROVIDER: &str = r#"<meta name="xueliang-sign-in" content="oidc">"#;

/// Whatever has no route of its own.
pub(super) async fn serve(State(api): State<Api>, request: Request) -> Response {
    let path = request.uri().path().trim_start_matches('/');
    if path.starts_with("api/") {
        return Problem::not_found().into_response();
    }
    if let Some(file) = Console::get(path).filter(|_| path != INDEX) {
        return answer(path, file.data);
    }
    let is_page = path == INDEX || !path.rsplit('/').next().unwrap_or_default().contains('.');
    match Console::get(INDEX) {
        Some(index) if is_page => answer(INDEX, page(index.data, api.oidc.is_some())),
        None if path.is_empty() => NOT_BUILT.into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The index, with the ways to sign in.
fn page(index: Cow<'static, [u8]>, by_provider: bool) -> Cow<'static, [u8]> {
    if !by_provider {
        return index;
    }
    let marked = String::from_utf8_lossy(&index).replacen("</head>", &format!("{BY_PROVIDER}</head>"), 1);
    Cow::Owned(marked.into_bytes())
}

/// Files whose names carry their digest never change.
fn answer(path: &str, file: Cow<'static, [u8]>) -> Response {
    let cache = if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type(path))),
        (header::CACHE_CONTROL, HeaderValue::from_static(cache)),
    ];
    (headers, file.into_owned()).into_response()
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_says_where_people_may_sign_in_by_a_provider() {
        let check = |by_provider: bool, expected: &str| {
            let index: &str = "<html><head><title>雪亮</title></head><body></head></body></html>";
            let served = page(Cow::Borrowed(index.as_bytes()), by_provider);
            assert_eq!(str::from_utf8(&served).unwrap(), expected);
        };
        check(false, "<html><head><title>雪亮</title></head><body></head></body></html>");
        check(
            true,
            "<html><head><title>雪亮</title><meta name=\"xueliang-sign-in\" content=\"oidc\"></head><body></head></body></html>",
        );
    }
}
