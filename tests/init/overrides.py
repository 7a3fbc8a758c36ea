"""Override files as administrators have them; written for these tests."""

HEADER_AND_COMMENTS = """\
# our additions to mailcow
version: '2.1'  # needed by an old Compose

services:
  nginx-mailcow:
    ports:
      - "8081:8081"   # monitoring
    # - "8082:8082"

  # another sidecar
  backup:
    image: example/backup:1
    environment:
      - RESTIC_PASSWORD=hunter2
    volumes:
      - vmail-vol-1:/vmail:ro
      # - crypt-vol-1:/crypt:ro

# our own network
networks:
  monitoring:
    external: true
"""

FOUR_SPACES = """\
services:

    dovecot-mailcow:
        ports:
            - "${IMAP_PORT_HAPROXY:-127.0.0.1:10143}:10143"

    postfix-mailcow:
        dns: ["192.0.2.53", '192.0.2.54']
volumes:
    other-vol: {}
    state:
        driver: local
"""

ANCHORS = """\
x-logging: &logging
  logging:
    driver: json-file
    options: {max-size: "5m"}
x-restart: &restart always

services:
  one: &one
    <<: *logging
    image: example/one
    restart: *restart
  two:
    <<: [*logging, *one]
    labels:
      traefik.rule: "Host(`x.example.org`) # no comment"
"""

ENDS_WITH_ALIAS = """\
x-base: &base
  image: example/base
services:
  one: *base
"""

TAGS = """\
services:
  rspamd-mailcow:
    ports: !reset []
    command: !override
      - sh
      - -c
"""

BLOCK_SCALARS = """\
services:
  one:
    image: example/one
    command: |
      echo services:
      # no comment

        mta-sts-mailcow:

    # a comment
  two:
    image: example/two
    entrypoint: >-
      sh
      -c

volumes:
  data:
    labels:
      note: |+
        kept


"""

VOLUMES_FIRST = """\
volumes:
  data:
    # where it is
    driver: local
services:
  one:
    image: example/one"""

NO_SERVICES = """\
networks:
  mailcow-network:
    driver_opts: {com.docker.network.bridge.name: br0}
"""

EMPTY_SERVICES = """\
services:
  # nothing yet
"""

EMPTY_SECTIONS = """\
# both empty
volumes:
services:   # none

networks:
  other:
"""

ONLY_COMMENTS = "# nothing here\n#services:\n#  one:\n"

DOCUMENT_MARKS = """\
%YAML 1.1
---
services:
  one:
    image: example/one
...
"""

MANY = "services:\n" + "".join(
    f"  service-{number}:\n    image: example/{number}\n    ports:\n"
    + "".join(f'      - "{number + 1}{port}:{port}"\n' for port in range(80, 100))
    for number in range(60)
)

MERGEABLE = {
    "header and comments": HEADER_AND_COMMENTS,
    "four spaces, glued sections": FOUR_SPACES,
    "anchors": ANCHORS,
    "ends with an alias": ENDS_WITH_ALIAS,
    "Compose's own tags": TAGS,
    "block scalars": BLOCK_SCALARS,
    "volumes first, no line end": VOLUMES_FIRST,
    "no services": NO_SERVICES,
    "empty services": EMPTY_SERVICES,
    "empty sections": EMPTY_SECTIONS,
    "only comments": ONLY_COMMENTS,
    "document marks": DOCUMENT_MARKS,
    "many services": MANY,
    "CRLF": HEADER_AND_COMMENTS.replace("\n", "\r\n"),
    "CRLF, no line end": VOLUMES_FIRST.replace("\n", "\r\n"),
    "BOM": "\ufeff" + ANCHORS,
    "no line end behind a comment": EMPTY_SERVICES.rstrip("\n"),
    "umlauts": "services:\n  eins:\n    image: beispiel/eins # größer\n",
    "tab in a comment": "services:\n  one:\n    image: x #\tone\n",
    "quoted keys": '"services":\n  "one":\n    image: x\n',
    "list not indented": "services:\n  one:\n    image: x\n    dns:\n    - 192.0.2.1\n    - 192.0.2.2\n",
    "indented by one": "services:\n one:\n  image: x\nvolumes:\n data:\n",
    "spaces at the end": "services:  \n  one:  \n    image: x  \n  \n",
    "several blank lines": "services:\n  one:\n    image: x\n\n\n\nvolumes:\n  data:\n",
    "a service without anything": "services:\n  one:\n    image: x\n  two:\n",
}

REFUSED = {
    "services with braces": ("services: {one: {image: x}}\n", "braces"),
    "no services, with braces": ("services: {}\n", "braces"),
    "a null that is written": ("services: ~\n", "not a mapping"),
    "services as a list": ("services:\n  - one\n", "not a mapping"),
    "services by an alias": ("x-s: &s\n  one: {image: x}\nservices: *s\n", "refers to another place"),
    "services with an anchor": ("services: &s\n  one: {image: x}\nx-copy: *s\n", "anchor"),
    "empty services with an anchor": ("services: &s\nx-copy: *s\n", "anchor"),
    "services with a tag": ("services: !override\n  one: {image: x}\n", "tag"),
    "volumes with braces": ("services:\n  one: {image: x}\nvolumes: {data: }\n", "braces"),
    "a tab": ("services:\n\tone:\n\t\timage: x\n", "line 2 is indented with a tab"),
    "a tab before a comment": ("services:\n  one:\n    image: x\t# one\n", "line 3 cannot be read as YAML"),
    "an alias of nothing": ("services:\n  one: *nothing\n", "line 2 uses *nothing"),
    "an anchor twice": ("services:\n  one: &a {image: x}\n  two: &a {image: x}\n", "line 3 cannot be read"),
    "a key that is not a name": ("services:\n  one: {image: x}\n? []\n: 1\n", "line 3 cannot be read"),
    "a key twice": ("services:\n  one:\n    image: x\n    image: y\n", "line 4 gives the key `image` a"),
    "a service twice": ("services:\n  one: {image: x}\n  one: {image: y}\n", "`one` a second time"),
    "services twice": ("services:\n  one: {image: x}\nservices:\n  two: {image: y}\n", "`services` a second"),
    "two documents": ("services:\n  one: {image: x}\n---\nservices:\n  two: {image: x}\n", "documents"),
    "not YAML": ("services:\n  one: [\n", "line 3 cannot be read as YAML"),
    "a list": ("- services\n", "not a list of keys"),
    "a word": ("services\n", "not a list of keys"),
    "all with braces": ("{services: {one: {image: x}}}\n", "not a list of keys"),
    "all indented": ("  services:\n    one: {image: x}\n", "first column"),
    "old line ends": ("services:\r  one:\r    image: x\r", "read as a line end"),
    "a control character": ("services:\n  one:\n    image: x\x00\n", "characters"),
    "a text that ends with the file": ("services:\n  one:\n    command: |\n      echo", "no line end"),
}
