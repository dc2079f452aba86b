"""The managed web firewall blocks no request body, and logs no credential."""

from tests.template.expansion import SOURCE, deployed, text_of


def test_the_managed_firewall_blocks_no_request_body() -> None:
    """A body holds up to a thousand records, and one record must not block the others."""
    groups = [
        each["Statement"]["ManagedRuleGroupStatement"]
        for each in SOURCE["Resources"]["ManagedWebAcl"]["Properties"]["Rules"]
    ]
    (common,) = (each for each in groups if each["Name"] == "AWSManagedRulesCommonRuleSet")
    counted = {
        each["Name"]
        for each in common["RuleActionOverrides"]
        if each["ActionToUse"] == {"Count": {}}
    }

    assert counted >= {
        "CrossSiteScripting_BODY",
        "EC2MetaDataSSRF_BODY",
        "GenericLFI_BODY",
        "GenericRFI_BODY",
        "SizeRestrictions_BODY",
    }


def test_the_firewall_logs_its_matches_without_credentials() -> None:
    logging = deployed("all")["Resources"]["WebAclLogging"]["Properties"]
    (destination,) = logging["LogDestinationConfigs"]
    (kept,) = logging["LoggingFilter"]["Filters"]

    assert text_of(destination).endswith(":log-group:${WebAclLogGroup}")  # and not `:*`
    assert {each["SingleHeader"]["Name"] for each in logging["RedactedFields"]} == {
        "authorization",
        "idempotency-key",
    }
    assert logging["LoggingFilter"]["DefaultBehavior"] == "DROP"
    assert (kept["Behavior"], kept["Requirement"]) == ("KEEP", "MEETS_ANY")
    assert [each["ActionCondition"]["Action"] for each in kept["Conditions"]] == [
        "BLOCK",
        "COUNT",
        "EXCLUDED_AS_COUNT",
    ]
