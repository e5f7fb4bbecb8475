"""Fair shares: one user's many requests do not hold up another's single one."""
CHAT = "/v1/chat/completions"


def many_and_one(house, many, one, policy="affinity", **top):
    """The order in which the users ran, when one with many requests came before one with a single one."""
    house.open({"chat": house.fake("chat", run_ms=150)}, policy=policy, **top)

    def ask(user, header):
        return house.raw("POST", CHAT, {"model": "chat", "messages": [], "user": user}, [header])

    asked = [ask("many", many)]
    house.wait_for_ticket(stage="running")
    asked += [ask("many", many) for _ in range(5)]
    house.wait_for_ticket(5, stage="waiting")
    asked.append(ask("one", one))
    house.wait_for_ticket(6, stage="waiting")
    shown = house.mgpu("line").stdout
    assert [answer.status for answer in asked] == [200] * 7
    return [user for what, _, _, user in house.journal() if what == "start"], shown


def test_a_header_names_the_user(house):
    order, shown = many_and_one(house, "X-Mgpu-User: ada", "X-Mgpu-User: bob")
    assert order == ["many", "one", *["many"] * 5]
    assert "USER" in shown and "ada" in shown and "bob" in shown


def test_an_api_key_is_a_user_and_is_never_shown(house):
    order, shown = many_and_one(house, "Authorization: Bearer sk-secret", "Authorization: Bearer sk-other")
    assert order == ["many", "one", *["many"] * 5]
    assert "key 1" in shown
    events = house.http.get("/v1/events", params={"follow": "false", "all": "true"}).text
    assert "sk-secret" not in shown + events + house.daemon.text


def test_users_may_be_told_apart_by_nothing(house):
    order, shown = many_and_one(house, "X-Mgpu-User: ada", "X-Mgpu-User: bob", users="none")
    assert order == [*["many"] * 6, "one"]
    assert "USER" not in shown
