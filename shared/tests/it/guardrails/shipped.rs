//! What the shipped guardrails say, and how environments, protections, products and patterns are matched.

use std::collections::BTreeMap;

use rstest::rstest;
use tourniquet::finding::{Finding, TargetKind};
use tourniquet::guardrails::{
    AutoScaling, Direction, EvidenceLock, Guardrails, Isolation, LockMode, Mode, Peer, Protected, Ruling, Subject,
};
use tourniquet::id::{AccountId, Arn, UniqueId};

use crate::support::{USER_ID, account, arn, finding, shipped, shipped_text, unique_id};

fn accusing(finding_type: &str, severity: f64) -> Finding {
    Finding { finding_type: finding_type.to_owned(), severity, ..finding("leaked-access-key") }
}

fn ruling(guardrails: &Guardrails, finding: &Finding, kind: TargetKind) -> Ruling {
    let tags = BTreeMap::new();
    guardrails.ruling(finding, Subject { kind, account: &account(), arn: None, unique_id: None, tags: &tags })
}

/// The mode and the rule's name, without its line.
fn decided(guardrails: &Guardrails, finding_type: &str, severity: f64, kind: TargetKind) -> (Mode, String) {
    let Ruling { mode, rule } = ruling(guardrails, &accusing(finding_type, severity), kind);
    (mode, rule.split(" (line").next().unwrap_or_default().to_owned())
}

#[rstest]
#[case("UnauthorizedAccess:IAMUser/MaliciousIPCaller", 8.0, Mode::Contain, "confirmed-compromise")]
#[case("UnauthorizedAccess:IAMUser/MaliciousIPCaller.Custom", 5.0, Mode::Contain, "confirmed-compromise")]
#[case("Exfiltration:S3/MaliciousIPCaller", 8.0, Mode::Contain, "confirmed-compromise")]
#[case("UnauthorizedAccess:IAMUser/TorIPCaller", 5.0, Mode::Contain, "confirmed-compromise")]
#[case("UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS", 8.0, Mode::Contain, "confirmed-compromise")]
#[case("UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.InsideAWS", 8.0, Mode::Contain, "confirmed-compromise")]
#[case("UnauthorizedAccess:IAMUser/ResourceCredentialExfiltration.OutsideAWS", 8.0, Mode::Contain, "confirmed-compromise")]
#[case("CryptoCurrency:EC2/BitcoinTool.B!DNS", 8.0, Mode::Contain, "confirmed-compromise")]
#[case("Backdoor:EC2/C&CActivity.B!DNS", 8.0, Mode::Contain, "confirmed-compromise")]
#[case("Backdoor:EC2/Spambot", 5.0, Mode::Contain, "confirmed-compromise")]
#[case("Backdoor:Runtime/C&CActivity.B", 8.0, Mode::Contain, "confirmed-compromise")]
#[case("Trojan:EC2/DNSDataExfiltration", 8.0, Mode::Contain, "confirmed-compromise")]
#[case("UnauthorizedAccess:EC2/MaliciousIPCaller.Custom", 5.0, Mode::Contain, "confirmed-compromise")]
#[case("Execution:EC2/MaliciousFile", 8.0, Mode::Contain, "confirmed-compromise")]
#[case("Execution:Runtime/MaliciousFileExecuted", 8.0, Mode::Contain, "confirmed-compromise")]
#[case("Execution:EC2/SuspiciousFile", 5.0, Mode::Propose, "default")]
#[case("Impact:EC2/BitcoinDomainRequest.Reputation", 8.0, Mode::Contain, "confirmed-compromise")]
#[case("Impact:EC2/MaliciousDomainRequest.Custom", 8.0, Mode::Contain, "confirmed-compromise")]
#[case("Impact:Runtime/CryptoMinerExecuted", 8.0, Mode::Contain, "confirmed-compromise")]
#[case("Impact:EC2/AbusedDomainRequest.Reputation", 5.0, Mode::Propose, "default")]
#[case("Impact:EC2/SuspiciousDomainRequest.Reputation", 2.0, Mode::Observe, "low-severity")]
#[case("Impact:EC2/PortSweep", 8.0, Mode::Propose, "default")]
#[case("Behavior:EC2/NetworkPortUnusual", 5.0, Mode::Propose, "default")]
#[case("Behavior:EC2/TrafficVolumeUnusual", 5.0, Mode::Propose, "default")]
#[case("DefenseEvasion:EC2/UnusualDNSResolver", 5.0, Mode::Propose, "default")]
#[case("Recon:EC2/Portscan", 5.0, Mode::Propose, "default")]
#[case("UnauthorizedAccess:EC2/SSHBruteForce", 8.0, Mode::Propose, "default")]
#[case("UnauthorizedAccess:EC2/SSHBruteForce", 2.0, Mode::Observe, "low-severity")]
#[case("UnauthorizedAccess:EC2/TorRelay", 8.0, Mode::Propose, "default")]
#[case("CryptoCurrency:EC2/BitcoinTool.B", 3.9, Mode::Observe, "low-severity")]
#[case("AttackSequence:EC2/CompromisedInstanceGroup", 9.0, Mode::Contain, "confirmed-compromise")]
#[case("AttackSequence:IAM/CompromisedCredentials", 9.0, Mode::Contain, "confirmed-compromise")]
#[case("AWS_RISK_CREDENTIALS_EXPOSED", 9.0, Mode::Contain, "confirmed-compromise")]
#[case("PenTest:IAMUser/KaliLinux", 5.0, Mode::Contain, "confirmed-compromise")]
#[case("CredentialAccess:IAMUser/AnomalousBehavior", 5.0, Mode::Propose, "anomalous-behaviour")]
#[case("Impact:IAMUser/AnomalousBehavior", 8.0, Mode::Propose, "anomalous-behaviour")]
#[case("Discovery:IAMUser/AnomalousBehavior", 2.0, Mode::Observe, "low-severity")]
#[case("UnauthorizedAccess:IAMUser/TorIPCaller", 3.9, Mode::Observe, "low-severity")]
#[case("UnauthorizedAccess:IAMUser/TorIPCaller", 4.0, Mode::Contain, "confirmed-compromise")]
#[case("Policy:IAMUser/RootCredentialUsage", 2.0, Mode::Contain, "root-credentials-used")]
#[case("Policy:IAMUser/PasswordPolicyChange", 2.0, Mode::Observe, "low-severity")]
#[case("Stealth:IAMUser/CloudTrailLoggingDisabled", 4.0, Mode::Propose, "default")]
#[case("SomethingNew:IAMUser/NeverSeenBefore", 10.0, Mode::Propose, "default")]
#[case("", 8.0, Mode::Propose, "default")]
fn the_shipped_file_decides(#[case] finding_type: &str, #[case] severity: f64, #[case] mode: Mode, #[case] rule: &str) {
    for kind in TargetKind::ALL {
        assert_eq!(decided(&shipped(), finding_type, severity, kind), (mode, rule.to_owned()), "{kind:?}");
    }
}

#[test]
fn a_ruling_names_the_rule_s_line_in_the_file() {
    let text = shipped_text();
    let line = text.lines().position(|line| line == "name = \"confirmed-compromise\"").expect("the rule") + 1;
    let ruling = ruling(&shipped(), &accusing("Trojan:EC2/DropPoint", 8.0), TargetKind::User);
    assert_eq!(ruling.rule, format!("confirmed-compromise (line {line})"));
}

#[rstest]
#[case(Mode::Observe, Mode::Observe, Mode::Observe)]
#[case(Mode::Propose, Mode::Propose, Mode::Propose)]
#[case(Mode::Contain, Mode::Contain, Mode::Propose)]
fn the_ceiling_caps_every_rule_and_the_default(#[case] ceiling: Mode, #[case] confirmed: Mode, #[case] unlisted: Mode) {
    let text = shipped_text().replacen("mode = \"contain\"", &format!("mode = \"{}\"", ceiling.as_str()), 1);
    let guardrails = Guardrails::parse("guardrails.toml", &text).expect("guardrails");
    assert_eq!(guardrails.ceiling(), ceiling);
    let mode = |finding_type: &str, severity: f64| ruling(&guardrails, &accusing(finding_type, severity), TargetKind::User).mode;
    assert_eq!(mode("Trojan:EC2/DropPoint", 8.0), confirmed);
    assert_eq!(mode("Policy:IAMUser/RootCredentialUsage", 2.0), confirmed);
    assert_eq!(mode("SomethingNew:IAMUser/NeverSeenBefore", 8.0), unlisted);
    assert_eq!(mode("Discovery:IAMUser/AnomalousBehavior", 2.0), Mode::Observe);
}

#[test]
fn a_capped_ruling_says_what_capped_it() {
    let text = shipped_text().replacen("mode = \"contain\"", "mode = \"observe\"", 1);
    let guardrails = Guardrails::parse("guardrails.toml", &text).expect("guardrails");
    let ruling = ruling(&guardrails, &accusing("Trojan:EC2/DropPoint", 8.0), TargetKind::User);
    assert!(ruling.rule.starts_with("mode = \"observe\" caps confirmed-compromise (line "), "{}", ruling.rule);
}

#[rstest]
#[case("arn:aws:securityhub:eu-west-1::product/aws/guardduty", true)]
#[case("arn:aws-us-gov:securityhub:us-gov-west-1::product/aws/guardduty", true)]
#[case("arn:aws:securityhub:eu-west-1::productv2/aws/guardduty", true)]
#[case("arn:aws:securityhub:eu-west-1:111122223333:product/111122223333/default", false)]
#[case("arn:aws:securityhub:eu-west-1:111122223333:product/aws/guardduty", false)]
#[case("arn:aws:securityhub:eu-west-1::product/aws/guardduty-lookalike", false)]
#[case("arn:aws:securityhub:eu-west-1::product/aws/securityhub", false)]
#[case("", false)]
fn only_listed_products_are_believed(#[case] product: &str, #[case] trusted: bool) {
    assert_eq!(shipped().trusts(Some(product)), trusted);
}

#[test]
fn a_finding_without_a_product_needs_none_listed() {
    assert!(shipped().trusts(None));
}

#[test]
fn the_shipped_file_isolates_by_what_can_be_undone() {
    let isolation = shipped().isolation().clone();
    let expected = Isolation { disassociate_addresses: true, lower_connection_timeouts: true, ..Isolation::default() };
    assert_eq!(isolation, expected);
    assert_eq!((isolation.auto_scaling, isolation.cluster_nodes), (AutoScaling::Standby, Mode::Propose));
    assert_eq!(shipped().evidence(), &EvidenceLock { mode: LockMode::Governance, days: 365 });
}

/// What is shown as an example holds together when somebody takes the marks of the comment away.
#[test]
fn the_examples_of_the_shipped_file_are_taken() {
    let text = shipped_text();
    let (_, examples) = text.split_once("# [[isolation.allow]]").expect("the examples");
    let (examples, _) = examples.split_once("\n\n# Snapshots").expect("their end");
    let text = text.replace(examples, &examples.replace("\n# ", "\n").replace("\n#\n", "\n\n"));
    let guardrails = Guardrails::parse("guardrails.toml", &text.replace("# [[isolation", "[[isolation")).expect("guardrails");
    let allow = &guardrails.isolation().allow;
    assert_eq!(allow.iter().map(|allow| allow.direction).collect::<Vec<_>>(), [Direction::In, Direction::Out]);
    assert_eq!(allow[0].peer, Peer::Cidr("203.0.113.10/32".to_owned()));
}

#[test]
fn a_file_that_says_nothing_of_instances_opens_cuts_and_unlocks_nothing() {
    let guardrails = Guardrails::parse("guardrails.toml", ENVIRONMENTS).expect("guardrails");
    assert_eq!(guardrails.isolation(), &Isolation::default());
    assert_eq!(guardrails.evidence(), &EvidenceLock::default());
    let Isolation { disassociate_addresses, remove_public_addresses, lower_connection_timeouts, untrack_connections, .. } =
        Isolation::default();
    assert!(![disassociate_addresses, remove_public_addresses, lower_connection_timeouts, untrack_connections].contains(&true));
    assert!(Isolation::default().allow.is_empty());
}

const ENVIRONMENTS: &str = r#"
version = 1
mode = "contain"

[default]
mode = "propose"

[[environment]]
name = "sandbox"
accounts = ["444455556666"]

[[environment]]
name = "production"
accounts = ["555566667777"]
tag = { key = "environment", value = "production", protected_by_scp = true }

[[rule]]
name = "sandbox-contains"
environments = ["sandbox"]
mode = "contain"

[[rule]]
name = "production-observes"
environments = ["production"]
targets = ["user"]
mode = "observe"

[[rule]]
name = "instances-observe"
environments = ["production"]
targets = ["instance"]
mode = "observe"
"#;

#[rstest]
#[case::sandbox_by_account("444455556666", &[], TargetKind::User, "sandbox-contains")]
#[case::production_by_account("555566667777", &[], TargetKind::User, "production-observes")]
#[case::production_by_tag("111122223333", &[("environment", "production")], TargetKind::User, "production-observes")]
#[case::an_instance("555566667777", &[], TargetKind::Instance, "instances-observe")]
#[case::another_kind("555566667777", &[], TargetKind::RoleSession, "default")]
#[case::another_value("111122223333", &[("environment", "test")], TargetKind::User, "default")]
#[case::another_key("111122223333", &[("Environment", "production")], TargetKind::User, "default")]
#[case::no_environment("111122223333", &[], TargetKind::User, "default")]
fn an_environment_is_an_account_list_or_a_protected_tag(
    #[case] account: &str,
    #[case] tags: &[(&str, &str)],
    #[case] kind: TargetKind,
    #[case] rule: &str,
) {
    let guardrails = Guardrails::parse("guardrails.toml", ENVIRONMENTS).expect("guardrails");
    let account = AccountId::parse(account).expect("an account");
    let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let subject = Subject { kind, account: &account, arn: None, unique_id: None, tags: &tags };
    let ruling = guardrails.ruling(&accusing("Any:Thing/AtAll", 8.0), subject);
    assert_eq!(ruling.rule.split(" (line").next(), Some(rule));
}

#[rstest]
#[case::arn(
    "arn = \"arn:aws:iam::111122223333:user/break-glass\"",
    Protected::Arn(arn("arn:aws:iam::111122223333:user/break-glass"))
)]
#[case::unique_id("unique_id = \"AIDASVCBUILDQ7EXAMPLE\"", Protected::UniqueId(unique_id(USER_ID)))]
#[case::account("account = \"111122223333\"", Protected::Account(account()))]
fn a_protection_covers_exactly_what_it_names(#[case] line: &str, #[case] what: Protected) {
    let text = format!("{}\n[[protect]]\n{line}\nbecause = \"the way back in\"\n", shipped_text());
    let guardrails = Guardrails::parse("guardrails.toml", &text).expect("guardrails");
    let tags = BTreeMap::new();
    let covered = |account: &str, arn: Option<&str>, id: Option<&str>| {
        let account = AccountId::parse(account).expect("an account");
        let arn = arn.map(|text| Arn::parse(text).expect("an ARN"));
        let id = id.map(|text| UniqueId::parse(text).expect("a unique id"));
        let subject =
            Subject { kind: TargetKind::User, account: &account, arn: arn.as_ref(), unique_id: id.as_ref(), tags: &tags };
        guardrails.protection(subject).map(|protection| protection.what.clone())
    };
    let (own_arn, other_arn) = ("arn:aws:iam::111122223333:user/break-glass", "arn:aws:iam::111122223333:user/break-glass-2");
    let (own_id, other_id) = (USER_ID, "AIDAANOTHERUSEREXAMPL");
    let expected = |covers: bool| covers.then(|| what.clone());
    let by = |arn: bool, id: bool, account: bool| match what {
        Protected::Arn(_) => arn,
        Protected::UniqueId(_) => id,
        Protected::Account(_) => account,
    };
    assert_eq!(covered("111122223333", Some(own_arn), Some(own_id)), expected(true));
    assert_eq!(covered("444455556666", Some(own_arn), Some(other_id)), expected(by(true, false, false)));
    assert_eq!(covered("444455556666", Some(other_arn), Some(own_id)), expected(by(false, true, false)));
    assert_eq!(covered("111122223333", Some(other_arn), Some(other_id)), expected(by(false, false, true)));
    assert_eq!(covered("444455556666", Some(other_arn), Some(other_id)), None);
    assert_eq!(covered("444455556666", None, None), None);
}

#[test]
fn whether_a_whole_role_may_be_denied_is_one_of_two_words_and_no_where_nothing_is_said() {
    let with = |line: &str| format!("version = 1\nmode = \"contain\"\n{line}\n[default]\nmode = \"propose\"");
    let may = |line: &str| Guardrails::parse("guardrails.toml", &with(line)).expect("guardrails").may_deny_whole_role();
    let refusal = |text: &str| Guardrails::parse("guardrails.toml", text).expect_err("a file that must be refused").to_string();
    assert!(may("deny_whole_role = \"when_full\""));
    assert!(!may("deny_whole_role = \"never\"") && !may(""));
    assert!(!shipped().may_deny_whole_role());
    insta::assert_snapshot!(refusal(&with("deny_whole_role = \"when_ful\"")), @"guardrails.toml:3: unknown variant `when_ful`; did you mean `when_full`?");
    insta::assert_snapshot!(refusal(&with("deny_whole_role = true")), @"guardrails.toml:3: wanted string or table");
}
