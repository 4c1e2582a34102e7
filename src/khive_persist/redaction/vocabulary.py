"""Words around secrets: before and after names, and in place of values."""

from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Before a name: what is counted, shown or looked up by it, rather than kept secret.
NOT_AFTER: Final = _words(
    "max min num n total count input output prompt completion reasoning cached cache page next "
    "prev previous pagination continuation stop pad eos bos unk sep cls mask special start end "
    "sync cancel cancellation public pub primary foreign partition sort range hash composite "
    "unique index object dict map row column group item lookup event issue project routing "
    "translation host known registry hot json idempotency dedup natural surrogate config "
    "setting query search lock state feature bucket file parent child tree node data field "
    "show hide has is no use forgot invalid wrong missing require required per any every each "
    "which verify verification"
)
# After a name: what says something of the secret, rather than being it.
NOT_BEFORE: Final = _words(
    "count counts type types url uri urls uris endpoint endpoints name names id ids path paths "
    "file files filename dir field fields column columns length len size sizes limit limits "
    "budget usage expiry expires expiration expire expired ttl age at in lifetime timeout policy "
    "provider manager service store storage class cls hash hashes hashed hasher algorithm alg "
    "algo format header headers param params prefix suffix regex pattern hint label labels "
    "placeholder title text help description desc error errors message messages status state "
    "valid required enabled index arn version source ref reference refs selector env var vars "
    "variable variables scope scopes list map generator validator encoder reset strength input "
    "prompt rotation scheme kind mode created updated fingerprint info metadata request util "
    "utils test tests position positions offset ids span spans stream iterator iter parser "
    "handler callback func function fn rate rates price cost per used remaining left total "
    "max min num number getter ring rings up down press code codes word words pair pairs "
    "board frame holder chain vault user username owner domain realm issuer audience"
)
# After a name: which of several it is, or how it is written.
WHICH: Final = _words(
    "prod production dev development stg staging stage test testing live sandbox qa uat ci "
    "local old new prev previous current backup primary secondary main master default base "
    "data value val values string str raw plain plaintext b64 base64 hex enc encoded decoded "
    "us eu ap asia v a b x one two"
)
LITTLE_WORDS: Final = _words(
    "a an the your you my our its this that is are was be to of for in on at with from by and or "
    "not no if as it must should can cannot please enter confirm new old current show hide reset "
    "forgot invalid wrong required min max least minimum maximum characters user username none"
)
NO_PASSWORDS: Final = _words(
    "string str text none null nil true false undefined required optional hidden unknown any "
    "password passwd username default disabled enabled prompt visible masked redacted secret "
    "public private object boolean integer number varchar unset missing invalid empty "
    "generated automatic ignored ignore nullable plaintext plain stdin getpass input value "
    "description constant variable function return sha256 sha512 bcrypt scrypt argon2 argon2id "
    "peer trust ident email basic bearer oauth oauth2 digest token "
    "example sample foobar placeholder"
)
