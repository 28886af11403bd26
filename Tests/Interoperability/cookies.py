"""Cookies as a browser would keep them: what an answer sets, and what a request then sends."""

import dataclasses


@dataclasses.dataclass
class Cookie:
    name: str
    value: str
    #: By the name in small letters; True for one without a value.
    attributes: dict

    @property
    def is_cleared(self):
        return self.attributes.get("max-age") == "0"


def set_by(response):
    """The cookies that an answer sets, by name; none twice."""
    cookies = {}
    for line in response.raw.headers.getlist("Set-Cookie"):
        pair, *rest = [part.strip() for part in line.split(";")]
        name, value = pair.split("=", 1)
        attributes = {}
        for part in rest:
            key, has_value, text = part.partition("=")
            assert key.lower() not in attributes, line
            attributes[key.lower()] = text if has_value else True
        assert name not in cookies, f"{name} is set twice"
        cookies[name] = Cookie(name, value, attributes)
    return cookies


def sent(cookies, *names):
    """The header of a request with these cookies, or with some of them."""
    chosen = cookies.values() if not names else [cookies[name] for name in names]
    return {"Cookie": "; ".join(f"{cookie.name}={cookie.value}" for cookie in chosen)}
