"""A service with regions: a server before moto that refuses what was signed for another region than the bucket's."""

from __future__ import annotations

import re

from tests.stores.before import Before
from tests.stores.scripted import Answer, Request

_SCOPE = re.compile(r"Credential=[^/]+/\d{8}/([^/]+)/s3/")


class Regional(Before):
    """``region`` is where the buckets are; refusals name it in the ways that Amazon uses, or in none of them."""

    def __init__(self, moto, region="eu-test-1", *, named=True):
        super().__init__(moto, self.refuse_others)
        self.region, self.named = region, named
        self.refused: list[str] = []

    def refuse_others(self, request: Request) -> Answer | None:
        """A refusal of what was signed for another region."""
        scope = _SCOPE.search(request.headers.get("authorization", ""))
        if scope is None or scope[1] == self.region:
            return None
        self.refused.append(scope[1])
        return self.refusal(request)

    def refusal(self, request: Request) -> Answer:
        """Amazon's: with the region in the document, and in a header where there is no document."""
        body = "<Error><Code>AuthorizationHeaderMalformed</Code><Message>the region is wrong</Message>"
        body += f"<Region>{self.region}</Region></Error>" if self.named else "</Error>"
        bucket_alone = request.target.count("/") == 1 and "?" not in request.target
        head = request.method == "HEAD"
        headers = {"x-amz-bucket-region": self.region} if head and bucket_alone and self.named else {}
        return Answer(400, b"" if head else body.encode(), {"Content-Type": "application/xml", **headers})
