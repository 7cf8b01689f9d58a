"""Signs in at the stage that this line of JSON describes; prints address, cookie and CSRF token for a shell."""
import json
import shlex
import sys
import urllib.request

stage = json.loads(sys.argv[1])
credentials = json.dumps({"account": stage["account"], "password": stage["password"]}).encode()
request = urllib.request.Request(
    f"{stage['url']}/api/v1/session", data=credentials, headers={"content-type": "application/json"}
)
with urllib.request.urlopen(request) as answer:
    cookie = answer.headers["set-cookie"].split(";")[0]
    csrf = json.load(answer)["csrf_token"]
for name, value in {"url": stage["url"], "cookie": cookie, "csrf": csrf}.items():
    print(f"{name}={shlex.quote(value)}")
