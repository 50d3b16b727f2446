//! Events nobody here wrote. The corpus is other people's data and lies beside the repository, not in it: where it is
//! missing these tests pass, saying so, and nothing of it is copied into a snapshot.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tourniquet::event::{Parsed, parse_guardduty_finding, parse_snapshot_event};
use tourniquet::finding::{ElsewhereSort, Instance, Target, Trigger};
use tourniquet::id::InstanceId;

use crate::checks::event::check;
use crate::support::{findings, repository};

/// The files of the corpus under the folders whose name begins with `prefix`.
fn corpus(prefix: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let entries =
        |path: &Path| std::fs::read_dir(path).map(|found| found.flatten().map(|entry| entry.path()).collect::<Vec<_>>());
    let Ok(folders) = entries(&repository().join("../shared/corpus")) else {
        // Captured unless the test is run with --nocapture.
        std::io::Write::write_all(&mut std::io::stderr(), b"no corpus beside the repository: nothing was checked\n")
            .expect("stderr");
        return Vec::new();
    };
    let mut files: Vec<_> = folders
        .iter()
        .filter(|folder| folder.is_dir() && folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)))
        .flat_map(|folder| entries(folder).expect("a folder"))
        .map(|file| (file.clone(), std::fs::read(file).expect("a file")))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "the corpus has no folder {prefix}");
    files
}

fn reasons(bytes: &[u8]) -> Vec<&'static str> {
    let reason = |parsed| match parsed {
        Parsed::Finding(_) => "finding",
        Parsed::Ignored(ignored) => ignored.reason.as_str(),
    };
    check(bytes).into_iter().map(reason).collect()
}

#[test]
fn a_feed_that_is_none_of_ours_is_an_unknown_envelope() {
    for folder in ["accessanalyzer", "cloudtrail", "ebs", "inspector", "macie", "other"] {
        for (path, bytes) in corpus(folder) {
            assert_eq!(reasons(&bytes), ["unknown_envelope"], "{}", path.display());
        }
    }
}

#[test]
fn a_configuration_check_accuses_nobody_until_a_person_presses_the_button() {
    for (path, bytes) in corpus("securityhub-imported") {
        let text = String::from_utf8_lossy(&bytes);
        // A check has a compliance status or is filed as one; an application's finding has neither.
        let is_check = text.contains("\"Compliance\"") || text.contains("Software and Configuration Checks");
        let expected = if is_check { "posture_finding" } else { "finding" };
        assert_eq!(reasons(&bytes), [expected], "{}", path.display());
    }
    for (path, bytes) in corpus("securityhub-custom-action") {
        assert!(reasons(&bytes).iter().all(|reason| *reason == "finding"), "{}", path.display());
    }
}

#[test]
fn the_bait_of_a_decoy_finding_is_not_among_the_accused() {
    for (path, bytes) in corpus("securityhub-imported").iter().filter(|(path, _)| path.to_string_lossy().contains("decoy")) {
        let value: Value = serde_json::from_slice(bytes).expect("JSON");
        let resources = value["Resources"].as_array().expect("resources");
        let actors = resources.iter().filter(|resource| resource["ResourceRole"] == "Actor").count();
        let accused = findings(bytes).remove(0).targets;
        assert!((1..=actors).contains(&accused.len()), "{}: {accused:?}", path.display());
        assert!(!accused.iter().any(|target| matches!(target, Target::Resource { .. })), "{}: {accused:?}", path.display());
    }
}

#[test]
fn a_generated_guardduty_sample_is_never_acted_on() {
    let mut generated = 0;
    for (path, bytes) in corpus("guardduty") {
        let text: String = String::from_utf8_lossy(&bytes).chars().filter(|c| !c.is_whitespace() && *c != '\\').collect();
        let reasons = reasons(&bytes);
        if text.contains("\"sample\":true") {
            generated += 1;
            // Some are cut so short that they are no findings at all.
            assert!(
                reasons.iter().all(|reason| ["sample_finding", "incomplete_finding", "unknown_envelope"].contains(reason)),
                "{}: {reasons:?}",
                path.display()
            );
        }
        assert!(!reasons.contains(&"archived_finding"), "{}: \"false\" as text is not archived", path.display());
    }
    assert!(generated == 0 || generated > 10, "only {generated} generated samples were found");
}

/// `finding` as if it were real: the sample marks taken off, an account id put in where the corpus has none.
fn made_real(finding: &mut Value) {
    let Value::Object(fields) = finding else { return };
    fields.retain(|key, _| !key.eq_ignore_ascii_case("title"));
    for (key, value) in fields.iter_mut() {
        match key.to_ascii_lowercase().as_str() {
            "accountid" => *value = "111122223333".into(),
            "service" => {
                if let Value::Object(service) = value {
                    service.retain(|key, _| !key.eq_ignore_ascii_case("additionalInfo"));
                }
            }
            _ => {}
        }
    }
}

/// The instance that GuardDuty's `resource` names, if what it says is an instance id.
fn named_instance(resource: &Value) -> Option<InstanceId> {
    let details = resource.get("instanceDetails").or_else(|| resource.get("InstanceDetails"))?;
    let id = details.get("instanceId").or_else(|| details.get("InstanceId"))?;
    InstanceId::parse(id.as_str()?).ok()
}

#[test]
fn the_target_of_a_guardduty_finding_follows_its_resource_type() {
    let (mut instances, mut identities) = (0, 0);
    for (path, bytes) in corpus("guardduty") {
        let value: Value = serde_json::from_slice(&bytes).expect("JSON");
        let mut finding = value.get("detail").cloned().unwrap_or(value);
        made_real(&mut finding);
        let Parsed::Finding(parsed) = parse_guardduty_finding(&finding, &Trigger::Event) else { continue };
        let resource = finding.get("resource").or_else(|| finding.get("Resource")).expect("a resource");
        let resource_type = resource.get("resourceType").or_else(|| resource.get("ResourceType")).and_then(Value::as_str);
        let follows = match (resource_type, &parsed.targets[..]) {
            // The generator's names are valid names, its ids are not valid ids.
            (Some("AccessKey"), [Target::User(user)]) => user.unique_id.is_none() && user.key.is_none(),
            (Some("AccessKey"), [Target::Elsewhere(elsewhere)]) => elsewhere.sort == ElsewhereSort::UnknownType,
            (Some("AccessKey"), [Target::RoleSession(session)]) => session.instance.is_none(),
            (Some("S3Bucket"), [caller, Target::Resource { .. }]) => caller.is_identity(),
            // The generator's accounts have a digit too many, so that its profiles are of another account.
            (Some("Instance"), [Target::Instance(Instance { id, profile: None })]) => {
                named_instance(resource) == Some(id.clone())
            }
            (Some("Instance"), [Target::Resource { .. }]) => named_instance(resource).is_none(),
            (Some(expected), [Target::Resource { resource_type }]) => expected == resource_type,
            _ => false,
        };
        assert!(follows, "{}: {resource_type:?} became {:?}", path.display(), parsed.targets);
        if parsed.targets[0].is_identity() { identities += 1 } else { instances += usize::from(parsed.targets[0].is_instance()) }
    }
    assert!((instances, identities) == (0, 0) || (instances > 5 && identities > 2), "{instances} and {identities}");
}

#[test]
fn the_instance_that_a_person_chose_in_security_hub_is_the_target() {
    for (path, bytes) in corpus("securityhub-custom-action") {
        let text = String::from_utf8_lossy(&bytes);
        let instances: Vec<_> =
            findings(&bytes).into_iter().flat_map(|finding| finding.targets).filter(Target::is_instance).collect();
        let arns = text.matches("\"AwsEc2Instance\",").count();
        assert_eq!(instances.len(), arns, "{}: {instances:?}", path.display());
        assert!(instances.iter().all(|target| matches!(target, Target::Instance(Instance { profile: Some(_), .. }))));
    }
}

#[test]
fn what_ebs_says_of_snapshots_is_read_once_its_placeholders_are_filled_in() {
    let (mut read, mut ignored) = (0, 0);
    for (path, bytes) in corpus("ebs") {
        // The documentation writes no real time, and an id with a digit too many.
        let text = String::from_utf8_lossy(&bytes).replace("yyyy-mm-ddThh:mm:ssZ", "2026-11-21T20:47:12Z");
        let text = text.replace("snap-012345678\"", "snap-01234568\"");
        let is_ours = ["\"createSnapshot\"", "\"createSnapshots\"", "\"copySnapshot\""].iter().any(|event| text.contains(event));
        match parse_snapshot_event(text.as_bytes()) {
            Ok(event) => {
                read += 1;
                assert!(is_ours && event.succeeded && event.snapshots.iter().all(|snapshot| snapshot.completed), "{event:?}");
            }
            Err(reason) => {
                ignored += 1;
                assert!(!is_ours && reason.reason.as_str() == "unknown_envelope", "{}: {reason:?}", path.display());
            }
        }
    }
    assert!((read, ignored) == (0, 0) || (read == 3 && ignored > 4), "{read} and {ignored}");
}
