//! A disk without room: writes are refused and say so, reads go on, and writes resume by themselves.

use std::io::ErrorKind;

use evenkeel::storage::StoreOptions;
use evenkeel::testkit::Fault;

use super::client::{get, post_form};
use super::running::NOW_MS;
use super::shop::{Shop, batch};

const NAME: &[(&str, &str)] = &[("__name__", "m")];

/// The values of `m` of the last hour.
async fn stored(shop: &Shop) -> String {
    let answer = get(shop.server.address, "/api/v1/query?query=m%5B1h%5D").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let json = answer.json();
    let values = json["data"]["result"][0]["values"].as_array().unwrap();
    values.iter().map(|pair| pair[1].as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

/// Why the verdict is BLIND by the storage, if it is.
async fn blind_by_storage(shop: &Shop) -> Option<String> {
    let verdict = get(shop.server.address, "/api/v1/verdict").await.json();
    let reasons = verdict["data"]["reasons"].as_array().unwrap();
    let mut texts = reasons.iter().filter(|reason| reason["verdict"] == "BLIND").filter_map(|r| r["text"].as_str());
    let text = texts.find(|text| text.starts_with("no sample can be stored: "))?.to_owned();
    assert_eq!(verdict["data"]["verdict"], "BLIND", "{verdict}");
    Some(text)
}

async fn healthy(shop: &Shop) -> bool {
    let metrics = get(shop.server.address, "/metrics").await;
    let line = metrics.text().lines().find(|line| line.starts_with("evenkeel_storage_healthy ")).unwrap().to_owned();
    match line.as_str() {
        "evenkeel_storage_healthy 1" => true,
        "evenkeel_storage_healthy 0" => false,
        _ => panic!("{line}"),
    }
}

/// Asserts that a write is refused for `reason`, and that nothing else than writing is affected.
async fn refused(shop: &Shop, t: i64, reason: &str) {
    shop.clock.set(t);
    let refused = shop.write(&batch(&[(NAME, t, 2.0), (&[("__name__", "n")], NOW_MS, 1.0)])).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(refused.text(), format!("{reason}; reads go on\n"));
    assert!(!healthy(shop).await);
    assert_eq!(blind_by_storage(shop).await, Some(format!("no sample can be stored: {reason}")));
    assert_eq!(stored(shop).await, "1", "reads go on, and show nothing of what was refused");
    let names = get(shop.server.address, "/api/v1/label/__name__/values").await;
    assert_eq!(names.text(), r#"{"status":"success","data":["m"]}"#);
}

/// Asserts that writes are taken, with nobody having done anything for it.
async fn resumed(shop: &Shop, t: i64) {
    shop.clock.set(t);
    assert_eq!(shop.write(&batch(&[(NAME, t, 3.0)])).await.status, 204);
    assert_eq!(stored(shop).await, "1 3");
    assert!(healthy(shop).await);
    assert_eq!(blind_by_storage(shop).await, None);
}

async fn shop(segment_bytes_max: u64) -> Shop {
    let store = StoreOptions { reserve_bytes: 4096, segment_bytes_max, ..StoreOptions::default() };
    let shop = Shop::stored(store).await;
    assert_eq!(shop.write(&batch(&[(NAME, NOW_MS, 1.0)])).await.status, 204);
    assert!(healthy(&shop).await && blind_by_storage(&shop).await.is_none());
    shop
}

#[tokio::test]
async fn writes_resume_by_themselves_when_there_is_room() {
    // Each write needs a segment, and so room on the disk.
    let shop = shop(1).await;
    shop.disk.set_capacity(Some(shop.disk.used_bytes() + 4000));
    let reason = "the disk is full: 4000 bytes are free, 64 and a reserve of 4096 are needed; writes resume by themselves when there is room";
    for minute in 1..4 {
        refused(&shop, NOW_MS + minute * 60_000, reason).await;
    }
    let deploy = async || post_form(shop.server.address, "/api/v1/deploys", "service=checkout&version=v2").await;
    let marked = deploy().await;
    assert_eq!((marked.status, marked.json()["errorType"].as_str()), (503, Some("unavailable")), "{}", marked.text());
    assert_eq!(get(shop.server.address, "/api/v1/deploys").await.json()["data"].as_array().unwrap().len(), 0);
    shop.disk.set_capacity(Some(shop.disk.used_bytes() + 8000));
    assert_eq!(deploy().await.status, 200);
    resumed(&shop, NOW_MS + 240_000).await;
}

#[tokio::test]
async fn a_write_that_was_cut_short_is_taken_back() {
    let shop = shop(4000).await;
    // The write fits into its file, which was a spare when it was opened; and then the disk takes half of it.
    shop.faults.fail_at(shop.faults.operations(), Fault::Short(ErrorKind::StorageFull));
    let reason =
        "the disk is full: write /db/wal/00000001.spare: made to fail; writes resume by themselves when there is room";
    refused(&shop, NOW_MS + 1000, reason).await;
    resumed(&shop, NOW_MS + 2000).await;
}
