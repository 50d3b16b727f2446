//! The IAM policy documents Tourniquet writes, byte for byte.
//!
//! Never `…IfExists` and never a negated operator on a session key: these match where the key is absent, and deny
//! everyone (CONTAINMENT A5).

use serde_json::Value;

use crate::id::{Arn, SessionName, UniqueId};
use crate::timestamp::Timestamp;

/// The inline policy that denies a user everything.
pub const DENY_ALL: &str = "TourniquetDenyAll";
/// The inline policy that denies a role's older sessions. Not AWS's own `AWSRevokeOlderSessions`: the console button
/// and the release of a case must not overwrite each other (CONTAINMENT A6).
pub const REVOKE_OLDER_SESSIONS: &str = "TourniquetRevokeOlderSessions";
/// The inline policies that deny one session of a role begin with this.
pub const DENY_SESSION_PREFIX: &str = "TourniquetDenySession-";

/// The name of the deny group's one policy, in both templates.
pub const DENY_GROUP_POLICY: &str = "deny-all";

/// Whether a document denies everything, unconditionally: what the deny group is for.
#[must_use]
pub fn denies_everything(document: &str) -> bool {
    let Ok(policy) = serde_json::from_str::<Value>(document) else { return false };
    let statements = match &policy["Statement"] {
        Value::Array(statements) => statements.as_slice(),
        statement => std::slice::from_ref(statement),
    };
    let is_all = |value: &Value| *value == "*" || value.as_array().is_some_and(|values| values.iter().any(|value| *value == "*"));
    statements.iter().any(|statement| {
        let unconditional = statement.get("Condition").is_none();
        statement["Effect"] == "Deny" && is_all(&statement["Action"]) && is_all(&statement["Resource"]) && unconditional
    })
}

/// Denies everything, unconditionally: covers long-term keys, console, `GetSessionToken`, `GetFederationToken` and
/// service-specific credentials, since all of them carry the user's policies (CONTAINMENT A5).
#[must_use]
pub fn deny_all() -> String {
    r#"{"Version":"2012-10-17","Statement":[{"Sid":"IRDenyAll","Effect":"Deny","Action":"*","Resource":"*"}]}"#.to_owned()
}

/// Denies every session issued before `cutoff`, in the body AWS's own console button writes (CONTAINMENT A5, A6).
#[must_use]
pub fn revoke_older_sessions(cutoff: Timestamp) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Deny","Action":["*"],"Resource":["*"],"Condition":{{"DateLessThan":{{"aws:TokenIssueTime":"{}"}}}}}}]}}"#,
        cutoff.to_policy_date()
    )
}

/// The cut-off of a document [`revoke_older_sessions`] wrote; nothing for any other document.
#[must_use]
pub fn cutoff_of(document: &str) -> Option<Timestamp> {
    let value: Value = serde_json::from_str(document).ok()?;
    let text = value.pointer("/Statement/0/Condition/DateLessThan/aws:TokenIssueTime")?.as_str()?;
    let cutoff = Timestamp::parse(text).ok()?;
    (revoke_older_sessions(cutoff) == document).then_some(cutoff)
}

/// Denies one session of a role, now and whenever it is assumed again under that name, and, where the credentials
/// are an instance's, everything that instance's credentials do. Other sessions of the role keep working
/// (CONTAINMENT A6, B13).
#[must_use]
pub fn deny_session(role_id: &UniqueId, session: &SessionName, instance: Option<&Arn>) -> String {
    // Checked identifiers: none of them can hold a character that JSON escapes.
    let by_user_id = format!(
        r#"{{"Sid":"IRDenyByUserId","Effect":"Deny","Action":"*","Resource":"*","Condition":{{"StringEquals":{{"aws:userid":"{role_id}:{session}"}}}}}}"#
    );
    let by_instance = instance.map_or_else(String::new, |arn| {
        format!(
            r#",{{"Sid":"IRDenyByInstanceArn","Effect":"Deny","Action":"*","Resource":"*","Condition":{{"ArnEquals":{{"ec2:SourceInstanceARN":"{arn}"}}}}}}"#
        )
    });
    format!(r#"{{"Version":"2012-10-17","Statement":[{by_user_id}{by_instance}]}}"#)
}

/// The same for the sessions that were issued before `cutoff` alone: what keeps them out once the session's name, or the
/// instance, may come back (CONTAINMENT A23).
#[must_use]
pub fn deny_older_sessions(role_id: &UniqueId, session: &SessionName, instance: Option<&Arn>, cutoff: Timestamp) -> String {
    let before = format!(r#""DateLessThan":{{"aws:TokenIssueTime":"{}"}}"#, cutoff.to_policy_date());
    let by_user_id = format!(
        r#"{{"Sid":"IRDenyByUserId","Effect":"Deny","Action":"*","Resource":"*","Condition":{{"StringEquals":{{"aws:userid":"{role_id}:{session}"}},{before}}}}}"#
    );
    let by_instance = instance.map_or_else(String::new, |arn| {
        format!(
            r#",{{"Sid":"IRDenyByInstanceArn","Effect":"Deny","Action":"*","Resource":"*","Condition":{{"ArnEquals":{{"ec2:SourceInstanceARN":"{arn}"}},{before}}}}}"#
        )
    });
    format!(r#"{{"Version":"2012-10-17","Statement":[{by_user_id}{by_instance}]}}"#)
}

/// Whether `document` is what [`deny_older_sessions`] makes of `deny`, with whatever cut-off.
#[must_use]
pub fn is_deny_of_older_sessions(document: &str, deny: &str) -> bool {
    let Ok(mut value) = serde_json::from_str::<Value>(document) else { return false };
    let Some(statements) = value["Statement"].as_array_mut() else { return false };
    let mut cutoffs = Vec::new();
    for statement in statements {
        let Some(condition) = statement["Condition"].as_object_mut() else { return false };
        cutoffs.push(condition.remove("DateLessThan"));
    }
    let is_older = cutoffs.iter().all(|cutoff| cutoff.as_ref().is_some_and(|cutoff| cutoff["aws:TokenIssueTime"].is_string()));
    is_older && serde_json::from_str::<Value>(deny).is_ok_and(|deny| deny == value)
}

/// A service control policy that denies a user, or a role and everyone who holds it, everything. `aws:PrincipalArn` of
/// a session is its role's ARN (CONTAINMENT A20).
#[must_use]
pub fn scp_deny(principal: &Arn) -> String {
    scp(&format!(r#"{{"ArnEquals":{{"aws:PrincipalArn":"{principal}"}}}}"#))
}

/// A service control policy that denies one session of a role everything.
#[must_use]
pub fn scp_deny_session(role_id: &UniqueId, session: &SessionName) -> String {
    scp(&format!(r#"{{"StringEquals":{{"aws:userid":"{role_id}:{session}"}}}}"#))
}

/// A service control policy that denies the sessions of a role that were issued before `cutoff`.
#[must_use]
pub fn scp_revoke_older_sessions(role: &Arn, cutoff: Timestamp) -> String {
    scp(&format!(
        r#"{{"ArnEquals":{{"aws:PrincipalArn":"{role}"}},"DateLessThan":{{"aws:TokenIssueTime":"{}"}}}}"#,
        cutoff.to_policy_date()
    ))
}

/// What undoes the isolation of an instance, or takes the instance away.
const UNDOES_ISOLATION: &str = r#"["ec2:ModifyNetworkInterfaceAttribute","ec2:AttachNetworkInterface","ec2:DetachNetworkInterface","ec2:AssociateAddress","ec2:ModifyInstanceAttribute","ec2:StopInstances","ec2:TerminateInstances"]"#;
/// What opens an isolation group. That it is put on an interface is none of it: other instances of the VPC are still to
/// be isolated by it.
const OPENS_GROUP: &str = r#"["ec2:AuthorizeSecurityGroupIngress","ec2:AuthorizeSecurityGroupEgress","ec2:ModifySecurityGroupRules","ec2:DeleteSecurityGroup"]"#;

/// A service control policy that leaves `isolated`, an instance and its interfaces, and the rules of `groups` to one
/// role: ARNs all of them (CONTAINMENT A20, B4).
#[must_use]
pub fn scp_keep_isolated(isolated: &[String], groups: &[String], role: &str) -> String {
    let statement = |sid: &str, actions: &str, resources: &[String]| {
        let resources = serde_json::json!(resources);
        format!(
            r#"{{"Sid":"{sid}","Effect":"Deny","Action":{actions},"Resource":{resources},"Condition":{{"ArnNotEquals":{{"aws:PrincipalArn":"{role}"}}}}}}"#
        )
    };
    let mut statements = vec![statement("IRKeepIsolated", UNDOES_ISOLATION, isolated)];
    if !groups.is_empty() {
        statements.push(statement("IRKeepGroupsClosed", OPENS_GROUP, groups));
    }
    format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, statements.join(","))
}

fn scp(condition: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Sid":"IRDeny","Effect":"Deny","Action":"*","Resource":"*","Condition":{condition}}}]}}"#
    )
}

/// The name of the policy that denies `session`: one a session, so that two cases on one role do not overwrite each
/// other. The whole digest: the attacker chooses session names, and must not find a second one with the same policy.
#[must_use]
pub fn deny_session_name(session: &SessionName) -> String {
    format!("{DENY_SESSION_PREFIX}{}", crate::text::sha256(session.as_str().as_bytes()))
}

/// A policy document as IAM returns it, decoded: IAM percent-encodes documents (RFC 3986) and the Rust SDK leaves
/// them so (CONTAINMENT A24). Text that is no valid encoding is returned unchanged.
#[must_use]
pub fn decode(document: &str) -> String {
    let mut bytes = Vec::with_capacity(document.len());
    let mut rest = document.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (Some(high), Some(low)) = (rest.next(), rest.next()) else { return document.to_owned() };
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let (Some(high), Some(low)) = (digit(high), digit(low)) else { return document.to_owned() };
        bytes.push(high * 16 + low);
    }
    String::from_utf8(bytes).unwrap_or_else(|_| document.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role_id() -> UniqueId {
        UniqueId::parse("AROAEXAMPLEIDEXAMPLE1").expect("a unique id")
    }

    #[test]
    fn the_documents_are_the_documented_ones() {
        let session = SessionName::parse("i-0123456789abcdef0").expect("a session");
        let instance = Arn::parse("arn:aws:ec2:eu-west-1:111122223333:instance/i-0123456789abcdef0").expect("an ARN");
        let cutoff = Timestamp::parse("2026-11-21T20:46:56Z").expect("a timestamp");
        insta::assert_snapshot!(
            [deny_all(), revoke_older_sessions(cutoff), deny_session(&role_id(), &session, Some(&instance)), deny_session(&role_id(), &session, None), deny_older_sessions(&role_id(), &session, Some(&instance), cutoff)].join("\n"),
            @r#"
        {"Version":"2012-10-17","Statement":[{"Sid":"IRDenyAll","Effect":"Deny","Action":"*","Resource":"*"}]}
        {"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":["*"],"Resource":["*"],"Condition":{"DateLessThan":{"aws:TokenIssueTime":"2026-11-21T20:46:56Z"}}}]}
        {"Version":"2012-10-17","Statement":[{"Sid":"IRDenyByUserId","Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:userid":"AROAEXAMPLEIDEXAMPLE1:i-0123456789abcdef0"}}},{"Sid":"IRDenyByInstanceArn","Effect":"Deny","Action":"*","Resource":"*","Condition":{"ArnEquals":{"ec2:SourceInstanceARN":"arn:aws:ec2:eu-west-1:111122223333:instance/i-0123456789abcdef0"}}}]}
        {"Version":"2012-10-17","Statement":[{"Sid":"IRDenyByUserId","Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:userid":"AROAEXAMPLEIDEXAMPLE1:i-0123456789abcdef0"}}}]}
        {"Version":"2012-10-17","Statement":[{"Sid":"IRDenyByUserId","Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:userid":"AROAEXAMPLEIDEXAMPLE1:i-0123456789abcdef0"},"DateLessThan":{"aws:TokenIssueTime":"2026-11-21T20:46:56Z"}}},{"Sid":"IRDenyByInstanceArn","Effect":"Deny","Action":"*","Resource":"*","Condition":{"ArnEquals":{"ec2:SourceInstanceARN":"arn:aws:ec2:eu-west-1:111122223333:instance/i-0123456789abcdef0"},"DateLessThan":{"aws:TokenIssueTime":"2026-11-21T20:46:56Z"}}}]}
        "#
        );
    }

    #[test]
    fn a_group_that_denies_less_than_everything_is_told_apart() {
        assert!(denies_everything(&deny_all()));
        assert!(denies_everything(r#"{"Statement":{"Effect":"Deny","Action":["*"],"Resource":["*"]}}"#));
        for less in [
            deny_all().replace("Deny\"", "Allow\""),
            deny_all().replace(r#""Action":"*""#, r#""Action":"s3:*""#),
            deny_all().replace(r#""Resource":"*""#, r#""Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}"#),
            r#"{"Statement":[]}"#.to_owned(),
            String::new(),
        ] {
            assert!(!denies_everything(&less), "{less}");
        }
    }

    #[test]
    fn every_document_is_json() {
        let session = SessionName::parse("a+b=c,d.e@f-g").expect("a session");
        for document in [deny_all(), deny_session(&role_id(), &session, None)] {
            serde_json::from_str::<Value>(&document).expect("JSON");
        }
    }

    #[test]
    fn a_cut_off_is_read_back_only_from_our_own_body() {
        let cutoff = Timestamp::parse("2026-11-21T20:46:56Z").expect("a timestamp");
        assert_eq!(cutoff_of(&revoke_older_sessions(cutoff)), Some(cutoff));
        let edited = revoke_older_sessions(cutoff).replace("Deny", "Allow");
        assert_eq!(cutoff_of(&edited), None);
        assert_eq!(cutoff_of("{}"), None);
    }

    #[test]
    fn iam_s_percent_encoding_is_undone() {
        assert_eq!(decode("%7B%22Sid%22%3A%20%22a%2Bb%22%7D"), r#"{"Sid": "a+b"}"#);
        assert_eq!(decode("100%"), "100%");
        assert_eq!(decode("%zz"), "%zz");
    }
}
