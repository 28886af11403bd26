"""What schemathesis can't make up: good tokens, passwords and ids, for half of the requests that are to be good.

It loads this into its own process, and test_openapi.py tells by the environment who it may be."""

import base64
import functools
import json
import os
import random

import requests
import schemathesis
import tokens
from oauth import ACCESS_TOKEN, EXCHANGE
from schemathesis.core.failures import AcceptedNegativeData

GIVEN = json.loads(os.environ["OPENAPI_TEST"])
#: In one run users have the header and clients the form; in the other clients have the header and users cookies.
USERS_HAVE_HEADER = GIVEN["run"] == "bearer"
FORM = "application/x-www-form-urlencoded"
#: Operations that end the session which they are called with.
ENDING = ["logOut", "logOutEverywhere", "changePassword", "endSession"]

chance = random.Random(1)


def log_in(name):
    body = {"username": name, "password": GIVEN["password"]}
    response = requests.post(GIVEN["url"] + "/auth/log-in", json=body, timeout=30)
    response.raise_for_status()
    return response.json()


@functools.cache
def lasting():
    """The tokens of a session that nothing ends."""
    return log_in("lasting")


def passing():
    """The tokens of a new session, of a user whose sessions all may end."""
    return log_in("passing")


def pair_for(case):
    return passing() if operation_id(case) in ENDING else lasting()


def operation_id(case):
    return case.operation.definition.raw["operationId"]


@schemathesis.auth(refresh_interval=None)
class Authorization:
    def get(self, case, context):
        if USERS_HAVE_HEADER:
            return f"Bearer {pair_for(case)['access_token']}"
        return "Basic " + base64.b64encode(":".join(GIVEN["client"]).encode()).decode()

    def set(self, case, data, context):
        case.headers["Authorization"] = data


# MARK: Good requests


def as_user(case):
    """Has a request say who makes it; a form can't do that by cookies."""
    pair = pair_for(case)
    case.headers["Origin"] = GIVEN["origin"]
    if USERS_HAVE_HEADER or case.media_type == FORM:
        case.headers["Authorization"] = f"Bearer {pair['access_token']}"
    else:
        case.headers.pop("Authorization", None)
        case.cookies = {"access_token": pair["access_token"]}


def as_client(case, body):
    """Sends a body as a client, which says there or in the header who it is."""
    if USERS_HAVE_HEADER:
        case.headers.pop("Authorization", None)
        body |= zip(["client_id", "client_secret"], GIVEN["client"])
    case.body = body


def good_log_in(case):
    case.body |= {"username": "passing", "password": GIVEN["password"], "scope": "read"}
    case.headers["Origin"] = GIVEN["origin"]


def good_refresh(case):
    if case.media_type == FORM or chance.random() < 0.5:
        case.body = {"refresh_token": passing()["refresh_token"]}
    else:
        case.body = {}
        case.cookies = {"refresh_token": passing()["refresh_token"]}
        case.headers["Origin"] = GIVEN["origin"]


def good_log_out(case):
    as_user(case)
    case.body = {"refresh_token": passing()["refresh_token"]}


def good_password(case):
    as_user(case)
    case.body = {"current": GIVEN["password"], "new": GIVEN["password"]}


def good_ending(case):
    as_user(case)
    case.path_parameters["id"] = tokens.claims(passing()["access_token"])["sid"]


def good_token_request(case):
    grant = case.body["grant_type"]
    if grant == "refresh_token":
        case.headers.pop("Authorization", None)
        case.body = {"grant_type": grant, "refresh_token": passing()["refresh_token"]}
    elif grant == EXCHANGE:
        as_client(
            case, {
                "grant_type": grant, "subject_token": lasting()["access_token"], "subject_token_type": ACCESS_TOKEN,
                "scope": "read"})
    else:
        as_client(case, {"grant_type": grant, "scope": "read", "audience": GIVEN["audiences"]})


def good_question(case):
    as_client(case, {"token": passing()[chance.choice(["access_token", "refresh_token"])]})


def good_status_list(case):
    case.path_parameters["id"] = GIVEN["status_list"]
    good_copy(case)


def good_copy(case):
    if chance.random() < 0.5:
        case.headers["If-None-Match"] = "*"


GOOD = {
    "logIn": good_log_in, "refresh": good_refresh, "logOut": good_log_out, "logOutEverywhere": good_log_out,
    "changePassword": good_password, "getMe": as_user, "listSessions": as_user, "endSession": good_ending,
    "requestToken": good_token_request, "revokeToken": good_question, "introspectToken": good_question,
    "getStatusList": good_status_list,
} | dict.fromkeys(
    ["getJWKS", "getAuthorizationServerMetadata", "getOpenIDConfiguration", "getOpenAPI", "getDocs"], good_copy)


@schemathesis.hook
def before_call(context, case, kwargs):
    make_good = GOOD.get(operation_id(case))
    if make_good and case.meta and case.meta.generation.mode.is_positive and chance.random() < 0.5:
        make_good(case)


@schemathesis.hook
def after_call(context, case, response):
    """Notes which answers there were."""
    with open(GIVEN["answers"], "a") as file:
        file.write(f"{operation_id(case)} {response.status_code}\n")


# MARK: What a schema can't say


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """RFC 6749, 3.2: a parameter without a value counts as left out, whatever values it may have."""
    has_omitted = case.media_type == FORM and isinstance(case.body, dict) and "" in case.body.values()
    return not (isinstance(failure, AcceptedNegativeData) and has_omitted)


@schemathesis.deserializer("application/statuslist+jwt")
def read_status_list(context, response):
    return response.text
