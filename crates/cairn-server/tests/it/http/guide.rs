//! The guide's `curl` lines, sent as curl would, and the answers that it shows.

use cairn_server::Verifier;
use cairn_testkit::markdown::blocks;
use reqwest::Method;

use super::{send, site_with};

/// The words of a line, as a shell takes them apart.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(std::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

#[tokio::test]
async fn the_guide_is_right() {
    let site = site_with(|options| options.password = Verifier::of_password("secret")).await;
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide/http.md")).unwrap();
    let mut answer = String::new();
    let mut shown = 0;
    for block in blocks(&text) {
        match block.info.as_str() {
            "sh" => {
                for line in block.text.lines() {
                    let mut words = words(line).into_iter();
                    assert_eq!(words.next().as_deref(), Some("curl"), "{line}");
                    let (mut address, mut body, mut user, mut headers) =
                        (String::new(), None, None, Vec::new());
                    while let Some(word) = words.next() {
                        match word.as_str() {
                            "-u" => user = words.next(),
                            "-d" => body = words.next(),
                            "-H" => headers.extend(words.next()),
                            _ => address = word.replace("localhost:8080", &site.server.http.to_string()),
                        }
                    }
                    let method = if body.is_some() { Method::POST } else { Method::GET };
                    let mut request = site.client.request(method, format!("http://{address}"));
                    if let Some((user, password)) = user.as_deref().and_then(|user| user.split_once(':')) {
                        request = request.basic_auth(user, Some(password));
                    }
                    for header in &headers {
                        let (name, value) = header.split_once(": ").unwrap();
                        request = request.header(name, value);
                    }
                    if let Some(body) = body {
                        request =
                            request.header("content-type", "application/x-www-form-urlencoded").body(body);
                    }
                    answer = send(request).await.text;
                }
            }
            "json" | "csv" => {
                assert_eq!(answer.trim_end(), block.text.trim_end());
                shown += 1;
            }
            _ => {}
        }
    }
    assert!(shown >= 6);
}
