"""Fair shares: one user's many requests do not delay another user's single request."""
CHAT = "/v1/chat/completions"


def order_served(harness, many, one, policy="affinity", **top):
    """Sends six requests of user `many`, then one of user `one`: the order in which they ran, and `mgpu line` before that."""
    harness.start_with({"chat": harness.fake_consumer("chat", run_ms=150)}, policy=policy, **top)

    def send_chat_as(user, header):
        return harness.send_raw("POST", CHAT, {"model": "chat", "messages": [], "user": user}, [header])

    requests = [send_chat_as("many", many)]
    harness.wait_for_ticket(stage="running")
    requests += [send_chat_as("many", many) for _ in range(5)]
    harness.wait_for_ticket(5, stage="waiting")
    requests.append(send_chat_as("one", one))
    harness.wait_for_ticket(6, stage="waiting")
    shown = harness.run_mgpu("line").stdout
    assert [answer.status for answer in requests] == [200] * 7
    return [user for what, _, _, user in harness.service_journal() if what == "start"], shown


def test_a_header_names_the_user(harness):
    order, shown = order_served(harness, "X-Mgpu-User: ada", "X-Mgpu-User: bob")
    assert order == ["many", "one", *["many"] * 5]
    assert "USER" in shown and "ada" in shown and "bob" in shown


def test_an_api_key_is_a_user_and_is_never_shown(harness):
    order, shown = order_served(harness, "Authorization: Bearer sk-secret", "Authorization: Bearer sk-other")
    assert order == ["many", "one", *["many"] * 5]
    assert "key 1" in shown
    events = harness.http_client.get("/v1/events", params={"follow": "false", "all": "true"}).text
    assert "sk-secret" not in shown + events + harness.daemon.output


def test_users_may_be_told_apart_by_nothing(harness):
    order, shown = order_served(harness, "X-Mgpu-User: ada", "X-Mgpu-User: bob", users="none")
    assert order == [*["many"] * 6, "one"]
    assert "USER" not in shown
