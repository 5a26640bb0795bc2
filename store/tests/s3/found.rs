//! Credentials that are not given are looked for where AWS's own tools look. The environment of a test cannot be
//! changed, so each case runs this program once more, with the environment that it is about.

use std::fs;
use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::Duration;

use store::s3::{Credentials, Options, Timeouts};
use store::{Keep, Store};
use tempfile::tempdir;

use super::proxy::{Act, Proxy, read_head};
use super::{Site, open};

/// What the other program does: `SEALOG_TEST_CHILD` says where.
#[test]
#[ignore = "run by the others, in an environment of their choice"]
#[allow(clippy::disallowed_methods, reason = "the environment is what it is about")]
fn child() {
    // Nobody asked.
    let Ok(told) = std::env::var("SEALOG_TEST_CHILD") else { return };
    let (url, bucket) = told.split_once(' ').unwrap();
    let whole = Duration::from_secs(5);
    let store = open(Options {
        endpoint: Some(url.to_owned()),
        path_style: true,
        credentials: Credentials::Found,
        timeouts: Timeouts { whole, ..Timeouts::default() },
        ..Options::new(bucket)
    });
    match store.put_new("found", b"", Keep::Evidence) {
        Ok(_) => println!("WRITTEN"),
        Err(error) => println!("{:?}: {error}", error.kind()),
    }
}

/// What the other program says when it writes to the bucket with this environment and nothing else in it.
fn told_with(url: &str, bucket: &str, settings: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "found::child", "--ignored", "--nocapture"]).env_clear();
    command.env("SEALOG_TEST_CHILD", format!("{url} {bucket}"));
    let output = command.envs(settings.iter().copied()).output().unwrap();
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}

#[track_caller]
fn check_written(site: &Site, settings: &[(&str, &str)]) {
    let options = site.options();
    site.store(options.clone());
    let said = told_with(&site.server.url, &options.bucket, settings);
    assert!(said.contains("WRITTEN"), "{settings:?}: {said}");
}

const NO_INSTANCE: (&str, &str) = ("AWS_EC2_METADATA_DISABLED", "true");

/// As a developer, or a service with secrets mounted, has them.
pub fn the_environment_and_profiles_are_looked_at(site: &Site) {
    let (access, secret) = (site.server.access.as_str(), site.server.secret.as_str());
    check_written(site, &[NO_INSTANCE, ("AWS_ACCESS_KEY_ID", access), ("AWS_SECRET_ACCESS_KEY", secret)]);
    let folder = tempdir().unwrap();
    let file = folder.path().join("credentials");
    let profile = format!("[of-sealog]\naws_access_key_id = {access}\naws_secret_access_key = {secret}\n");
    fs::write(&file, profile).unwrap();
    let file = file.to_str().unwrap();
    check_written(site, &[NO_INSTANCE, ("AWS_SHARED_CREDENTIALS_FILE", file), ("AWS_PROFILE", "of-sealog")]);
}

/// And says so, without asking again in vain.
pub fn without_credentials_it_says_where_they_go(site: &Site) {
    let said = told_with(&site.server.url, "nowhere", &[NO_INSTANCE]);
    assert!(said.contains("Refused") && said.contains("no credentials were found"), "{said}");
}

/// A role: of the container, of the instance, or for a token that the cluster vouches for (IRSA). The request shows
/// that it was taken: a server would have to know it.
#[test]
fn a_role_is_taken_where_the_machine_has_one() {
    let place = Place::giving("KEYOFTHEROLE", "secret-of-the-role");
    let container = format!("{}/container", place.url);
    let folder = tempdir().unwrap();
    let token = folder.path().join("token");
    fs::write(&token, "of the cluster").unwrap();
    let of_the_container = [NO_INSTANCE, ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &container)];
    let of_the_instance = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", place.url.as_str())];
    let of_the_cluster = [
        NO_INSTANCE,
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/archiver"),
        ("AWS_ENDPOINT_URL_STS", &place.url),
    ];
    let proxy = Proxy::before("http://127.0.0.1:1");
    proxy.otherwise(Act::Refuse(403, "AccessDenied"));
    for settings in [&of_the_container[..], &of_the_instance, &of_the_cluster] {
        proxy.plan(&[]);
        let said = told_with(&proxy.url, "bucket", settings);
        assert!(said.contains("a right is missing") && !said.contains("secret-of"), "{settings:?}: {said}");
        let heads = proxy.heads();
        let [head] = heads.as_slice() else { panic!("one request, not {heads:?}") };
        assert!(head.contains("Credential=KEYOFTHEROLE/"), "{head}");
        assert!(head.to_lowercase().contains("x-amz-security-token: of-the-session\r\n"), "{head}");
    }
}

/// Whoever gives a machine its role: the container's agent, the instance's, and the token service, as one server.
struct Place {
    url: String,
}

impl Place {
    /// Serves for as long as the program runs.
    fn giving(access: &str, secret: &str) -> Place {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let keys = format!(
            r#"{{"Code":"Success","Type":"AWS-HMAC","LastUpdated":"2026-01-01T00:00:00Z","AccessKeyId":"{access}",
            "SecretAccessKey":"{secret}","Token":"of-the-session","Expiration":"2099-01-01T00:00:00Z"}}"#
        );
        let of_the_token = format!(
            r#"<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
            <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{access}</AccessKeyId>
            <SecretAccessKey>{secret}</SecretAccessKey><SessionToken>of-the-session</SessionToken>
            <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult>
            </AssumeRoleWithWebIdentityResponse>"#
        );
        thread::spawn(move || {
            for client in listener.incoming() {
                let mut client: TcpStream = client.unwrap();
                let head = read_head(&mut BufReader::new(&mut client)).unwrap();
                let path = head.split(' ').nth(1).unwrap_or_default();
                let (status, body) = match path {
                    "/container" => (200, keys.as_str()),
                    "/latest/api/token" => (200, "of-the-instance"),
                    "/latest/meta-data/iam/security-credentials/" => (200, "archiver"),
                    "/latest/meta-data/iam/security-credentials/archiver" => (200, keys.as_str()),
                    "/" => (200, of_the_token.as_str()),
                    _ => (404, ""),
                };
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status} So\r\nx-aws-ec2-metadata-token-ttl-seconds: 600\r\nContent-Length: {length}\r\n\
                     Connection: close\r\n\r\n{body}"
                );
                client.write_all(answer.as_bytes()).unwrap();
            }
        });
        Place { url }
    }
}
