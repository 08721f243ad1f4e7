"""Holds what the admin listener answers against the description that it serves: status, content type, every member of every document."""
try:
    import jsonschema
except ImportError:     # python3-jsonschema; where it is absent the answers are used unchecked
    jsonschema = None


class Description:
    def __init__(self, document):
        self.document = document
        self.resolver = jsonschema.RefResolver.from_schema(document)
        self.checked = 0

    def place_of(self, path):
        """The described path that stands for this one."""
        parts = path.split("?")[0].split("/")
        for described in self.document["paths"]:
            names = described.split("/")
            if len(names) == len(parts) and all(a == b or (a.startswith("{") and b) for a, b in zip(names, parts)):
                return described
        return None

    def check(self, method, path, status, content_type, answer):
        place = self.place_of(path)
        operation = place and self.document["paths"][place].get(method.lower())
        assert operation, f"{method} {path} is not described"
        response = operation["responses"].get(str(status))
        assert response, f"{method} {path} answered {status}, which is not described: {answer}"
        described = response.get("content", {})
        if not described:
            assert answer is None, f"{method} {path} answered {status} with a body, and none is described"
            return
        kind = content_type.split(";")[0]
        assert kind in described, f"{method} {path} answered {status} as {kind}, described are {list(described)}"
        validator = jsonschema.Draft202012Validator(described[kind]["schema"], resolver=self.resolver)
        problem = jsonschema.exceptions.best_match(validator.iter_errors(answer))
        assert problem is None, f"{method} {path} answered {status} with what is not described: {problem.message} at {list(problem.absolute_path)}"
        self.checked += 1
