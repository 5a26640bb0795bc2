//! Identities that are restricted to one of the policies in deploy/iam. MinIO gives their credentials out over STS: the
//! root's rights, cut down to what the policy says.

use std::path::Path;
use std::time::Duration;

use aws_sdk_sts::Client;
use aws_sdk_sts::config::retry::RetryConfig;
use aws_sdk_sts::config::{BehaviorVersion, Credentials as Keys, Region, SharedHttpClient};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use serde_json::Value;
use store::s3::{Credentials, Options};

/// What is in deploy/iam.
pub const IDENTITIES: [&str; 5] = ["archiver", "chainer", "trimmer", "auditor", "administrator"];

/// Credentials with which `name` comes to the archive of these options, whose own are root's.
pub fn credentials(options: &Options, name: &str) -> Credentials {
    restricted_to(options, &policy(name))
}

/// The same for any policy that is written as those are.
pub fn restricted_to(options: &Options, policy: &str) -> Credentials {
    assume(options, &for_minio(policy, &options.bucket, &options.prefix))
}

/// A policy as it is checked in.
pub fn policy(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/iam");
    std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap()
}

/// Filled in and changed as deploy/iam/README.md says, and as short as STS wants it.
fn for_minio(policy: &str, bucket: &str, prefix: &str) -> String {
    let known = |line: &&str| !line.contains("s3:if-none-match") && !line.contains("PublicAccessBlock");
    let lines: Vec<&str> = policy.lines().filter(known).collect();
    let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
    let filled = lines.join("\n").replace("BUCKET", bucket).replace("PREFIX/", &prefix);
    serde_json::from_str::<Value>(&filled).unwrap().to_string()
}

/// The same for a policy that is filled in and changed already.
pub fn restricted(options: &Options, policy: &str) -> Credentials {
    assume(options, &serde_json::from_str::<Value>(policy).unwrap().to_string())
}

fn assume(options: &Options, policy: &str) -> Credentials {
    let Credentials::Given { access_key, secret, .. } = &options.credentials else { panic!("root's keys") };
    let config = aws_sdk_sts::config::Builder::new()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(http_client(options.ca_pem.as_deref()))
        .sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
        .retry_config(RetryConfig::disabled())
        .endpoint_url(options.endpoint.clone().unwrap())
        .region(Region::new("us-east-1"))
        .credentials_provider(Keys::new(access_key, secret, None, None, "root"));
    let request = Client::from_conf(config.build()).assume_role();
    // MinIO asks for neither of the names, the client for both.
    let request = request.role_arn("arn:minio:iam:::role/tests").role_session_name("tests");
    let request = request.policy(policy).duration_seconds(3_600).send();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answer = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(20), request).await });
    let answer = answer.expect("an answer").unwrap_or_else(|error| panic!("{policy}: {error:?}"));
    let given = answer.credentials().unwrap();
    Credentials::Given {
        access_key: given.access_key_id().to_owned(),
        secret: given.secret_access_key().to_owned(),
        session: Some(given.session_token().to_owned()),
    }
}

fn http_client(ca_pem: Option<&[u8]>) -> SharedHttpClient {
    let Some(pem) = ca_pem else { return Builder::new().build_http() };
    let trusted = TlsContext::builder().with_trust_store(TrustStore::empty().with_pem_certificate(pem));
    let builder = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
    builder.tls_context(trusted.build().unwrap()).build_https()
}
