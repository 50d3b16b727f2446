//! What the file says about isolating an instance and locking its evidence, and how it is refused.

use std::net::{IpAddr, Ipv6Addr};

use proptest::prelude::*;
use rstest::rstest;
use tourniquet::guardrails::{Allow, AutoScaling, Direction, EvidenceLock, Guardrails, LockMode, Mode, Peer};
use tourniquet::id::{GroupId, VpcId};

/// The first five lines of a file that holds together; what is tested starts on line 6.
const HEAD: &str = "version = 1\nmode = \"contain\"\n\n[default]\nmode = \"propose\"";

fn parsed(rest: &str) -> Guardrails {
    Guardrails::parse("guardrails.toml", &format!("{HEAD}\n{rest}")).expect("guardrails")
}

fn refused(rest: &str) -> String {
    let text = format!("{HEAD}\n{rest}");
    Guardrails::parse("guardrails.toml", &text).expect_err("a file that must be refused").to_string()
}

/// An allowed peer, on lines 6 to 10.
fn allow(direction: &str, peer: &str, port: &str) -> String {
    format!("[[isolation.allow]]\ndirection = \"{direction}\"\npeer = \"{peer}\"\nport = {port}\nbecause = \"bastion\"\n")
}

fn peer(text: &str) -> Result<Peer, String> {
    let text = format!("{HEAD}\n{}", allow("in", text, "22"));
    let guardrails = Guardrails::parse("guardrails.toml", &text).map_err(|error| error.to_string())?;
    Ok(guardrails.isolation().allow[0].peer.clone())
}

#[test]
fn every_key_says_what_it_says() {
    let guardrails = parsed(
        r#"[isolation]
disassociate_addresses = true
remove_public_addresses = true
lower_connection_timeouts = true
untrack_connections = true
auto_scaling = "detach"
cluster_nodes = "contain"
[[isolation.allow]]
direction = "in"
peer = "sg-0123456789abcdef0"
port = 22
vpc = "vpc-0a1b2c3d"
because = "bastion"
[[isolation.allow]]
direction = "out"
peer = "pl-6da54004"
port = 443
because = "evidence goes to S3 (the gateway endpoint)"
[evidence]
lock = "compliance"
lock_days = 36500"#,
    );
    let isolation = guardrails.isolation();
    assert!(isolation.disassociate_addresses && isolation.remove_public_addresses);
    assert!(isolation.lower_connection_timeouts && isolation.untrack_connections);
    assert_eq!((isolation.auto_scaling, isolation.cluster_nodes), (AutoScaling::Detach, Mode::Contain));
    let expected = [
        Allow {
            direction: Direction::In,
            peer: Peer::Group(GroupId::parse("sg-0123456789abcdef0").expect("a group")),
            port: 22,
            vpc: Some(VpcId::parse("vpc-0a1b2c3d").expect("a VPC")),
            because: "bastion".to_owned(),
        },
        Allow {
            direction: Direction::Out,
            peer: Peer::PrefixList("pl-6da54004".to_owned()),
            port: 443,
            vpc: None,
            because: "evidence goes to S3 (the gateway endpoint)".to_owned(),
        },
    ];
    assert_eq!(isolation.allow, expected);
    assert_eq!(guardrails.evidence(), &EvidenceLock { mode: LockMode::Compliance, days: 36_500 });
    // As a case keeps it.
    let kept = serde_json::to_string(&isolation.allow).expect("JSON");
    assert_eq!(serde_json::from_str::<Vec<Allow>>(&kept).expect("allowed peers"), expected);
}

#[rstest]
#[case("auto_scaling = \"standby\"", AutoScaling::Standby, Mode::Propose)]
#[case("auto_scaling = \"detach\"", AutoScaling::Detach, Mode::Propose)]
#[case("cluster_nodes = \"propose\"", AutoScaling::Standby, Mode::Propose)]
#[case("cluster_nodes = \"contain\"", AutoScaling::Standby, Mode::Contain)]
fn a_key_left_out_is_the_careful_one(#[case] line: &str, #[case] scaling: AutoScaling, #[case] nodes: Mode) {
    let guardrails = parsed(&format!("[isolation]\n{line}"));
    assert_eq!((guardrails.isolation().auto_scaling, guardrails.isolation().cluster_nodes), (scaling, nodes));
}

#[rstest]
#[case("", LockMode::Governance, 365)]
#[case("lock_days = 1", LockMode::Governance, 1)]
#[case("lock = \"governance\"", LockMode::Governance, 365)]
#[case("lock = \"none\"", LockMode::None, 365)]
#[case("lock = \"compliance\"\nlock_days = 30", LockMode::Compliance, 30)]
fn a_lock_left_out_is_by_governance_for_a_year(#[case] lines: &str, #[case] mode: LockMode, #[case] days: u16) {
    assert_eq!(parsed(&format!("[evidence]\n{lines}")).evidence(), &EvidenceLock { mode, days });
}

#[rstest]
#[case("203.0.113.10/32", "203.0.113.10/32")]
#[case("10.0.0.0/8", "10.0.0.0/8")]
#[case("10.1.2.128/25", "10.1.2.128/25")]
#[case("2001:db8::/32", "2001:db8::/32")]
#[case("2001:DB8:0:0::1/128", "2001:db8::1/128")]
#[case("fd00::/16", "fd00::/16")]
fn a_network_is_kept_as_ec2_writes_it(#[case] text: &str, #[case] written: &str) {
    assert_eq!(peer(text), Ok(Peer::Cidr(written.to_owned())));
}

#[rstest]
#[case::the_world(
    "0.0.0.0/0",
    "`0.0.0.0/0` is open to the world: that is no isolation; name the bastion or the endpoint; /8 is the widest, in IPv6 /16"
)]
#[case::the_world_in_ipv6(
    "::/0",
    "`::/0` is open to the world: that is no isolation; name the bastion or the endpoint; /8 is the widest, in IPv6 /16"
)]
#[case::host_bits_and_the_world(
    "203.0.113.10/0",
    "`203.0.113.10/0` is open to the world: that is no isolation; name the bastion or the endpoint; /8 is the widest, in IPv6 /16"
)]
#[case::half_the_world(
    "128.0.0.0/1",
    "`128.0.0.0/1` is open to the world: that is no isolation; name the bastion or the endpoint; /8 is the widest, in IPv6 /16"
)]
#[case::all_of_ipv6_in_use(
    "2000::/3",
    "`2000::/3` is open to the world: that is no isolation; name the bastion or the endpoint; /8 is the widest, in IPv6 /16"
)]
#[case::host_bits("203.0.113.10/24", "`203.0.113.10/24` has bits set behind its prefix; the network is `203.0.113.0/24`")]
#[case::host_bits_in_ipv6("2001:db8::1/64", "`2001:db8::1/64` has bits set behind its prefix; the network is `2001:db8::/64`")]
#[case::no_length(
    "203.0.113.10",
    "`203.0.113.10` is no network, no sg-... and no pl-...; one address is written `203.0.113.10/32`"
)]
#[case::no_length_in_ipv6(
    "2001:db8::1",
    "`2001:db8::1` is no network, no sg-... and no pl-...; one address is written `2001:db8::1/128`"
)]
#[case::too_long(
    "203.0.113.10/33",
    "`203.0.113.10/33` is no network, no sg-... and no pl-...; write a network as `203.0.113.10/32`"
)]
#[case::too_long_in_ipv6(
    "2001:db8::/129",
    "`2001:db8::/129` is no network, no sg-... and no pl-...; write a network as `203.0.113.10/32`"
)]
#[case::signed("10.0.0.0/+8", "`10.0.0.0/+8` is no network, no sg-... and no pl-...; write a network as `203.0.113.10/32`")]
#[case::zero_before("10.0.0.0/08", "`10.0.0.0/08` is no network, no sg-... and no pl-...; write a network as `203.0.113.10/32`")]
#[case::two_lengths(
    "10.0.0.0/8/8",
    "`10.0.0.0/8/8` is no network, no sg-... and no pl-...; write a network as `203.0.113.10/32`"
)]
#[case::a_space("10.0.0.0 /8", "`10.0.0.0 /8` is no network, no sg-... and no pl-...; write a network as `203.0.113.10/32`")]
#[case::octal("010.0.0.0/8", "`010.0.0.0/8` is no network, no sg-... and no pl-...; write a network as `203.0.113.10/32`")]
#[case::three_numbers("10.0.0/24", "`10.0.0/24` is no network, no sg-... and no pl-...; write a network as `203.0.113.10/32`")]
#[case::a_zone(
    "fe80::1%eth0/128",
    "`fe80::1%eth0/128` is no network, no sg-... and no pl-...; write a network as `203.0.113.10/32`"
)]
#[case::ipv4_in_ipv6("::ffff:203.0.113.10/128", "`::ffff:203.0.113.10/128` is an IPv4 address in IPv6; write it as IPv4")]
#[case::a_name(
    "bastion.example.com",
    "`bastion.example.com` is no network, no sg-... and no pl-...; write a network as `203.0.113.10/32`"
)]
#[case::nothing("", "`` is no network, no sg-... and no pl-...; write a network as `203.0.113.10/32`")]
#[case::no_group("sg-bastion", "`sg-bastion` is not a security group id")]
#[case::a_group_without_its_vpc(
    "sg-0123456789abcdef0",
    "`sg-0123456789abcdef0` stands without its VPC; a group can be named only within its own VPC: give it in `vpc`"
)]
#[case::no_prefix_list("pl-s3", "`pl-s3` is not a prefix list id")]
#[case::a_prefix_list_let_in(
    "pl-6da54004",
    "`pl-6da54004` is let in; prefix lists are for the way out, to an endpoint: write the bastion's network"
)]
fn a_peer_that_is_none_is_refused(#[case] text: &str, #[case] message: &str) {
    assert_eq!(peer(text), Err(format!("guardrails.toml:8: {message}")));
}

#[rstest]
#[case("0")]
#[case("-1")]
#[case("65536")]
fn a_port_outside_its_range_is_refused(#[case] port: &str) {
    let message = format!("guardrails.toml:9: port {port} is outside 1 to 65535");
    assert_eq!(refused(&allow("in", "203.0.113.10/32", port)), message);
}

#[rstest]
#[case("1", 1)]
#[case("65535", 65_535)]
fn a_port_at_the_end_of_its_range_is_taken(#[case] port: &str, #[case] number: u16) {
    assert_eq!(parsed(&allow("out", "203.0.113.10/32", port)).isolation().allow[0].port, number);
}

#[rstest]
#[case("0")]
#[case("-1")]
#[case("36501")]
#[case("65901")] // 365 in sixteen bits
fn days_outside_their_range_are_refused(#[case] days: &str) {
    let message = format!("guardrails.toml:7: lock_days {days} is outside 1 to 36500");
    assert_eq!(refused(&format!("[evidence]\nlock_days = {days}")), message);
}

#[test]
fn a_compliance_lock_without_its_days_is_refused() {
    insta::assert_snapshot!(refused("[evidence]\nlock = \"compliance\""), @"guardrails.toml:7: a compliance lock needs its `lock_days`; nobody can take it back, not even AWS: say for how long in `lock_days`");
}

#[test]
fn an_unknown_key_names_the_nearest_one() {
    insta::assert_snapshot!(refused("[isolation]\ndissociate_addresses = true"), @"guardrails.toml:7: unknown key `dissociate_addresses`; did you mean `disassociate_addresses`?");
    insta::assert_snapshot!(refused("[evidence]\nlock_day = 1"), @"guardrails.toml:7: unknown key `lock_day`; did you mean `lock_days`?");
    insta::assert_snapshot!(refused(&allow("in", "203.0.113.10/32", "22").replace("because", "becuase")), @"guardrails.toml:10: unknown key `becuase`; did you mean `because`?");
    insta::assert_snapshot!(refused("[isolate]\nx = 1"), @"guardrails.toml:6: unknown key `isolate`; did you mean `isolation`?");
}

#[test]
fn an_unknown_word_names_the_nearest_one() {
    insta::assert_snapshot!(refused("[isolation]\nauto_scaling = \"stand_by\""), @"guardrails.toml:7: unknown variant `stand_by`; did you mean `standby`?");
    insta::assert_snapshot!(refused("[isolation]\ncluster_nodes = \"observe\""), @"guardrails.toml:7: unknown variant `observe`; known here: propose, contain");
    insta::assert_snapshot!(refused("[evidence]\nlock = \"governence\""), @"guardrails.toml:7: unknown variant `governence`; did you mean `governance`?");
    insta::assert_snapshot!(refused(&allow("ingress", "203.0.113.10/32", "22")), @"guardrails.toml:7: unknown variant `ingress`; did you mean `in`?");
}

#[test]
fn a_value_of_the_wrong_type_is_refused() {
    insta::assert_snapshot!(refused("[isolation]\nuntrack_connections = \"no\""), @r#"guardrails.toml:7: invalid type: string "no""#);
    insta::assert_snapshot!(refused(&allow("in", "203.0.113.10/32", "\"ssh\"")), @r#"guardrails.toml:9: invalid type: string "ssh""#);
    insta::assert_snapshot!(refused("[evidence]\nlock_days = 1.5"), @"guardrails.toml:7: invalid type: floating point `1.5`");
}

#[rstest]
#[case("direction")]
#[case("peer")]
#[case("port")]
#[case("because")]
fn an_allowed_peer_says_everything(#[case] key: &str) {
    let whole = allow("in", "203.0.113.10/32", "22");
    let without: Vec<_> = whole.lines().filter(|line| !line.starts_with(key)).collect();
    assert_eq!(refused(&without.join("\n")), format!("guardrails.toml:6: missing key `{key}`"));
}

#[test]
fn a_malformed_vpc_is_refused() {
    let text = format!("{}vpc = \"subnet-0123456789abcdef0\"", allow("in", "203.0.113.10/32", "22"));
    assert_eq!(refused(&text), "guardrails.toml:11: `subnet-0123456789abcdef0` is not a VPC id");
}

#[rstest]
#[case(" ")]
#[case("the bastion's")]
#[case("\u{202e}noitsab")]
#[case(&"x".repeat(256))]
fn a_reason_that_ec2_would_not_take_is_refused(#[case] because: &str) {
    let text = allow("in", "203.0.113.10/32", "22").replace("bastion", because);
    let message = "guardrails.toml:10: an allowed peer needs its reason in `because`, as the rule will carry it in EC2; \
                   at most 255 letters, digits, spaces and any of ._-:/()#,@[]+=&;{}!$*";
    assert_eq!(refused(&text), message);
}

#[rstest]
#[case::the_same("203.0.113.10/32", "in", "22", "", true)]
#[case::written_otherwise("2001:db8::1/128", "in", "22", "", true)]
#[case::for_one_vpc_and_for_every("203.0.113.10/32", "in", "22", "vpc = \"vpc-0a1b2c3d\"\n", true)]
#[case::another_direction("203.0.113.10/32", "out", "22", "", false)]
#[case::another_port("203.0.113.10/32", "in", "443", "", false)]
#[case::another_peer("203.0.113.11/32", "in", "22", "", false)]
fn what_is_allowed_twice_is_refused(
    #[case] peer: &str,
    #[case] direction: &str,
    #[case] port: &str,
    #[case] vpc: &str,
    #[case] twice: bool,
) {
    let known = format!("{}\n{}", allow("in", "203.0.113.10/32", "22"), allow("in", "2001:DB8:0::1/128", "22"));
    let text = format!("{HEAD}\n{known}\n{}{vpc}", allow(direction, peer, port));
    match Guardrails::parse("guardrails.toml", &text) {
        Ok(guardrails) => assert!(!twice && guardrails.isolation().allow.len() == 3),
        Err(error) => {
            let message = format!("guardrails.toml:20: port 22 of `{peer}` is allowed twice; delete one of the two");
            assert!(twice && error.to_string() == message, "{error}");
        }
    }
}

#[test]
fn one_peer_may_be_allowed_in_two_vpcs() {
    let one = |vpc: &str| format!("{}vpc = \"{vpc}\"\n", allow("in", "203.0.113.10/32", "22"));
    assert_eq!(parsed(&format!("{}{}", one("vpc-0a1b2c3d"), one("vpc-0a1b2c3e"))).isolation().allow.len(), 2);
    assert!(refused(&format!("{}{}", one("vpc-0a1b2c3d"), one("vpc-0a1b2c3d"))).contains("is allowed twice"));
}

/// Whether the two addresses agree in their first `length` bits, bit by bit.
fn agree(one: IpAddr, other: IpAddr, length: usize) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let bit = |bytes: &[u8], at: usize| bytes[at / 8] >> (7 - at % 8) & 1;
    let (one, other) = (bits(one), bits(other));
    (0..length).all(|at| bit(&one, at) == bit(&other, at))
}

fn address() -> impl Strategy<Value = IpAddr> {
    let not_mapped = |address: &Ipv6Addr| address.to_ipv4_mapped().is_none();
    prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(Ipv6Addr::from).prop_filter("an IPv4 address", not_mapped).prop_map(IpAddr::V6),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn what_a_refused_network_suggests_is_taken_and_covers_it(address in address(), length in 0_u8..=128) {
        let (bits, widest) = if address.is_ipv4() { (32, 8) } else { (128, 16) };
        match peer(&format!("{address}/{length}")) {
            Ok(Peer::Cidr(written)) => {
                prop_assert_eq!(written, format!("{address}/{length}"));
                prop_assert!((widest..=bits).contains(&length));
            }
            Ok(other) => prop_assert!(false, "{other:?}"),
            Err(message) => {
                prop_assert_eq!(message.contains("open to the world"), length < widest, "{}", message);
                prop_assert_eq!(message.contains("is no network"), length > bits, "{}", message);
                let suggested = message.split("the network is `").nth(1).and_then(|rest| rest.strip_suffix('`'));
                if let Some(suggested) = suggested {
                    prop_assert_eq!(peer(suggested), Ok(Peer::Cidr(suggested.to_owned())));
                    let network: IpAddr = suggested.split('/').next().unwrap_or_default().parse().expect("an address");
                    prop_assert!(agree(network, address, usize::from(length)), "{} {}", network, address);
                } else {
                    prop_assert!(!(widest..=bits).contains(&length), "{}", message);
                }
            }
        }
    }

    #[test]
    fn no_text_as_a_peer_breaks_the_reader(text in "[ -!#-\\[\\]-~]{0,40}") {
        if let Ok(Peer::Cidr(written)) = peer(&text) {
            prop_assert_eq!(peer(&written), Ok(Peer::Cidr(written)));
        }
    }
}
