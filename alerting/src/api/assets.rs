//! The console's files, embedded when it was built; pages of the console all begin with its index.

use axum::{
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use rust_embed::{EmbeddedFile, RustEmbed};

use super::problem::Problem;

#[derive(RustEmbed)]
#[folder = "console/dist"]
struct Console;

const NOT_BUILT: &str = "The console is not built into this program.\n\n\
    cd alerting/console && npm ci && npm run build, then build the program again.\n\
    The API is under /api/v1, its description at /openapi.json.\n";

/// Whatever has no route of its own.
pub(super) async fn serve(request: Request) -> Response {
    let path = request.uri().path().trim_start_matches('/');
    if path.starts_with("api/") {
        return Problem::not_found().into_response();
    }
    if let Some(file) = Console::get(path) {
        return answer(path, file);
    }
    let is_page = !path.rsplit('/').next().unwrap_or_default().contains('.');
    match Console::get("index.html") {
        Some(index) if is_page => answer("index.html", index),
        None if path.is_empty() => NOT_BUILT.into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Files whose names carry their digest never change.
fn answer(path: &str, file: EmbeddedFile) -> Response {
    let cache = if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type(path))),
        (header::CACHE_CONTROL, HeaderValue::from_static(cache)),
    ];
    (headers, file.data.into_owned()).into_response()
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
