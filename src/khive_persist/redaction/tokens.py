r"""The table of token formats: the beginning of a vendor's token, and the pattern after it.

Formats are those that the vendors document, or that the rules of public scanners give; the source
of each stands in `docs/redaction.md`. Lengths are lower bounds somewhat below them, so that a cut
token is still found. A run that must be followed by something is bounded, so that no text makes a
search slower than linear. No tail wants a boundary after a secret, as replacing what follows could
then make a new one.
"""

from typing import Final, NamedTuple

ALNUM: Final = "A-Za-z0-9"
WORD: Final = "A-Za-z0-9_-"
UUID: Final = r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
# How the number of a user begins in base64: with two digits.
DISCORD_HEADS: Final = "MD MT Mj Mz ND NT Nj Nz OD OT"
JWT_TAIL: Final = r"[\w-]{8,4096}+(?:\.eyJ[\w-]{8,}+(?:\.[\w-]*+)?|(?:\.[\w-]*+){4})"


class Token(NamedTuple):
    """A kind of token.

    Attributes:
        kind: The name in placeholders.
        heads: The literals that it begins with, separated by blanks.
        tail: A pattern of what follows.
        forbidden: The inside of a class of characters that may not stand before it ("": any may,
            where the beginning is telling enough).
    """

    kind: str
    heads: str
    tail: str
    forbidden: str = ALNUM


class Infix(NamedTuple):
    """A kind of token whose literal stands within it.

    Attributes:
        kind: The name in placeholders.
        words: Literals, separated by blanks.
        length: The number of characters before one.
        pattern: The pattern of the whole token.
    """

    kind: str
    words: str
    length: int
    pattern: str


FORGES: Final = (
    Token("github_token", "ghp_ gho_ ghu_ ghs_ ghr_", r"[A-Za-z0-9]{30,}", ""),
    Token("github_token", "github_pat_", r"\w{30,}", ""),
    Token(
        "github_app_token",
        "ghs_",
        r"(?:[0-9]{1,20}_)?eyJ[\w-]{8,4096}+\.[\w-]{8,4096}+\.[\w-]{8,}",
        "",
    ),
    Token(
        "gitlab_token",
        "glpat- gldt- glrt- glrtr- glcbt- glptt- glft- glimt- glagent- glsoat- glffct- gloas-",
        r"[\w-]{20,}(?:\.[0-9a-z]{2}\.[0-9a-z]{9})?",
    ),
    Token("gitlab_runner_token", "GR1348941", r"[\w-]{20,}"),
    Token("bitbucket_token", "ATBB", r"[A-Za-z0-9]{24,}"),
    Token("atlassian_token", "ATATT3 ATCTT3 ATSTT3", r"[\w=-]{50,}"),
    Token("trello_token", "ATTA", r"[0-9a-f]{60,}"),
    Token("sourcegraph_token", "sgp_", r"(?:local_|[0-9a-fA-F]{16}_)?[0-9a-fA-F]{40,}"),
    Token("circleci_token", "CCIPAT_ CCIPRJ_", r"[A-Za-z0-9]{16,64}_[0-9a-f]{40,}"),
    Token("buildkite_token", "bkua_ bkaa_ bkaj_ bkct_ bkpat_", r"[A-Za-z0-9_]{32,}"),
    Token("codeclimate_token", "qltcp_ qltcw_", r"[A-Za-z0-9]{32,}"),
    Token("snyk_token", "snyk_uat. snyk_sat.", r"[0-9a-f]{8}\.[\w.-]{30,}"),
    Token("sonarqube_token", "sqp_ squ_ sqa_", r"[0-9a-f]{40,}"),
    Token("jetbrains_token", "perm: perm-", r"[\w+/=-]{4,64}\.[\w+/=-]{4,64}\.[\w+/=-]{20,}"),
    Token("jfrog_api_key", "AKCp", r"[A-Za-z0-9]{60,}"),
    Token("jfrog_reference_token", "cmVmd", r"[A-Za-z0-9]{55,}"),
    Token("npm_token", "npm_", r"[A-Za-z0-9]{30,}"),
    Token("pypi_token", "pypi-", r"AgE[\w-]{40,}", ""),
    Token("rubygems_token", "rubygems_", r"[0-9a-f]{40,}", ""),
    Token("crates_token", "cio", r"[A-Za-z0-9]{32}(?![A-Za-z0-9])", WORD),
    Token("nuget_api_key", "oy2", r"[a-z0-9]{43}(?![a-z0-9])", WORD),
    Token("clojars_token", "CLOJARS_", r"[0-9a-f]{50,}"),
    Token("docker_token", "dckr_pat_ dckr_oat_", r"[\w-]{20,}", ""),
)

MODELS: Final = (
    Token("anthropic_api_key", "sk-ant-", r"[\w-]{20,}", ""),
    Token("openai_api_key", "sk-proj- sk-svcacct- sk-admin-", r"[\w-]{20,}", ""),
    Token("openai_api_key", "sk-", r"[A-Za-z0-9]{32,}"),
    Token("openrouter_api_key", "sk-or-", r"[\w-]{20,}"),
    Token("langfuse_secret_key", "sk-lf-", UUID),
    Token("kimi_api_key", "sk-kimi-", r"[A-Za-z0-9]{32,}"),
    Token("helicone_api_key", "sk-helicone-", r"[a-z0-9-]{20,}"),
    Token("gemini_api_key", "AQ.Ab", r"[\w-]{30,}"),
    Token("groq_api_key", "gsk_", r"[A-Za-z0-9]{32,}"),
    Token("hugging_face_token", "hf_ api_org_", r"[A-Za-z0-9]{30,}"),
    Token("xai_api_key", "xai-", r"[A-Za-z0-9]{40,}"),
    Token("perplexity_api_key", "pplx-", r"[A-Za-z0-9]{32,}"),
    Token("replicate_token", "r8_", r"[A-Za-z0-9]{30,}"),
    Token("nvidia_api_key", "nvapi-", r"[\w-]{40,}"),
    Token("cerebras_api_key", "csk-", r"[a-z0-9]{40,}"),
    Token("fireworks_api_key", "fw_", r"[A-Za-z0-9]{20,}", WORD),
    Token("together_api_key", "tgp_v1_", r"[\w-]{30,}"),
    Token("baidu_api_key", "bce-v3/ALTAK-", r"[A-Za-z0-9]{10,40}/[0-9a-f]{32,}", ""),
    Token("pinecone_api_key", "pcsk_", r"[A-Za-z0-9]{4,12}_[A-Za-z0-9]{40,}|[A-Za-z0-9_]{50,}"),
    Token("jina_api_key", "jina_", r"[0-9a-f]{32}[\w-]{20,}"),
    Token("voyage_api_key", "pa-", r"[\w-]{43}(?![\w-])", WORD),
    Token("llamacloud_api_key", "llx-", r"[A-Za-z0-9]{40,}"),
    Token("langsmith_api_key", "lsv2_pt_ lsv2_sk_", r"[0-9a-f]{32}_[0-9a-f]{10}", ""),
    Token("tavily_api_key", "tvly-", r"(?:dev-|prod-)?[A-Za-z0-9]{28,}"),
    Token("firecrawl_api_key", "fc-", r"[0-9a-f]{32}", WORD),
    Token("brave_search_api_key", "BSA", r"[\w-]{27,29}(?![\w-])", WORD),
    Token("apify_token", "apify_api_", r"[A-Za-z0-9]{30,}"),
    Token("e2b_api_key", "e2b_", r"[0-9a-f]{40}"),
    Token("runpod_api_key", "rpa_", r"[A-Z0-9]{36}[a-z0-9]{4,}"),
    Token("wandb_api_key", "wandb_v1_", r"\w{40,}"),
    Token("browserbase_api_key", "bb_live_", r"[\w-]{24,}"),
    Token("cursor_api_key", "crsr_", r"[0-9a-f]{64}"),
)

CLOUDS: Final = (
    Token("aws_access_key", "AKIA ASIA ABIA ACCA", r"[A-Z0-9]{16,}"),
    Token("aws_bedrock_api_key", "ABSKQmVkcm9ja0FQSUtleS", r"[A-Za-z0-9+/=]{80,}"),
    Token("gcp_api_key", "AIza", r"[\w-]{35,}"),
    Token("gcp_oauth_token", "ya29.", r"[\w.-]{20,}"),
    Token("gcp_refresh_token", "1//0", r"[\w-]{40,}", ALNUM + "/"),
    Token("gcp_client_secret", "GOCSPX-", r"[\w-]{20,}", ""),
    Token("alibaba_access_key", "LTAI", r"[A-Za-z0-9]{17,}"),
    Token("tencent_secret_id", "AKID", r"[A-Za-z0-9]{32}(?![A-Za-z0-9])"),
    Token("volcengine_access_key", "AKLT", r"[A-Za-z0-9_-]{40,}"),
    Token("yandex_api_key", "AQVN", r"[\w-]{35,}"),
    Token("yandex_iam_token", "t1.", r"[\w-]{20,2048}+=*+\.[\w-]{80,}"),
    Token("scaleway_access_key", "SCW", r"[A-Z0-9]{17}(?![A-Za-z0-9])", WORD),
    Token("digitalocean_token", "dop_v1_ doo_v1_ dor_v1_", r"[0-9a-f]{40,}", ""),
    Token("fly_token", "fo1_", r"[\w-]{43}"),
    Token("fly_token", "fm1a_ fm1r_ fm2_", r"[A-Za-z0-9+/]{80,}={0,3}"),
    Token("heroku_api_key", "HRKU-AA", r"[\w-]{40,}"),
    Token("netlify_token", "nfp_ nfc_ nfo_ nfu_", r"[A-Za-z0-9_]{36,}"),
    Token("vercel_token", "vcp_ vci_ vca_ vcr_ vck_", r"[A-Za-z0-9]{24,}"),
    Token("render_api_key", "rnd_", r"[A-Za-z0-9]{28,}"),
    Token("deno_token", "ddp_ ddo_ ddw_", r"[A-Za-z0-9]{36,}"),
    Token("cloudflare_origin_ca_key", "v1.0-", r"[0-9a-f]{24}-[0-9a-f]{140,}"),
    Token("tailscale_key", "tskey-", r"[a-z]{2,12}-[\w-]{20,}"),
    Token("defined_networking_token", "dnkey-", r"[\w=-]{26,}-[\w=-]{40,}"),
    Token("pulumi_token", "pul-", r"[0-9a-f]{40}"),
    Token("scalingo_token", "tk-us-", r"[\w-]{48}"),
    Token("openshift_token", "sha256~", r"[\w-]{43}"),
    Token("vault_token", "hvs. hvb. hvr.", r"[\w-]{24,}"),
    Token(
        "doppler_token", "dp.pt. dp.st. dp.ct. dp.sa. dp.said. dp.scim. dp.audit.", r"[\w.-]{40,}"
    ),
    Token("onepassword_service_token", "ops_eyJ", r"[A-Za-z0-9+/=_-]{80,}"),
    Token(
        "onepassword_secret_key",
        "A3-",
        r"[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})(?:-[A-Z0-9]{5}){3}",
        WORD,
    ),
    Token("infracost_api_key", "ico-", r"[A-Za-z0-9]{32}"),
    Token("prefect_api_key", "pnu_ pnb_", r"[A-Za-z0-9]{36}"),
    Token("harness_token", "pat. sat.", r"[\w-]{22}\.[0-9a-f]{24}\.[A-Za-z0-9]{20}"),
    Token("octopus_api_key", "API-", r"[A-Z0-9]{26,}", WORD),
    Token("settlemint_token", "sm_aat_ sm_pat_ sm_sat_", r"[A-Za-z0-9]{16,}"),
    Token("authress_key", "authress_ scauth_", r"[a-z0-9]{5,30}\.[a-z0-9]{4,6}\.acc[\w.+/=-]{40,}"),
)

DATA: Final = (
    Token("databricks_token", "dapi dose", r"[0-9a-f]{32,}(?:-[0-9])?"),
    Token("planetscale_token", "pscale_tkn_ pscale_pw_ pscale_oauth_", r"[\w.-]{30,}", ""),
    Token("supabase_token", "sbp_ sb_secret_", r"[\w-]{30,}"),
    Token("neon_api_key", "napi_", r"[a-z0-9]{60,}"),
    Token("mongodb_atlas_secret", "mdb_sa_sk_", r"[\w-]{30,}"),
    Token("aiven_password", "AVNS_", r"[\w-]{19,}"),
    Token("cockroachdb_api_key", "CCDB1_", r"[A-Za-z0-9]{20,24}_[A-Za-z0-9]{36,}"),
    Token("clickhouse_secret_key", "4b1d", r"[A-Za-z0-9]{38}(?![A-Za-z0-9])"),
    Token("dbt_token", "dbtc_ dbtu_ dbts_", r"[\w-]{36,}=?"),
    Token("turbopuffer_api_key", "tpuf_", r"[A-Za-z0-9]{30,}"),
    Token("elastic_api_key", "essu_", r"[A-Za-z0-9+/=_-]{40,}"),
    Token("contentful_token", "CFPAT-", r"[\w-]{40,}"),
    Token("airtable_token", "pat", r"[A-Za-z0-9]{14}\.[0-9a-f]{40,}", WORD),
    Token("airtable_oauth_token", "oaa", r"[A-Za-z0-9]{14}\.v1\.[\w./+=-]{60,}", WORD),
    Token("dropbox_token", "sl.u. sl.B", r"[\w-]{80,}"),
    Token("new_relic_key", "NRAK- NRII- NRIQ- NRSP-", r"[A-Za-z0-9_-]{20,}"),
    Token("grafana_token", "glc_ glsa_", r"[A-Za-z0-9_+/=]{32,}"),
    Token(
        "dynatrace_token",
        "dt0c01. dt0s01. dt0s02. dt0s03. dt0s04. dt0s06. dt0s08. dt0s09. dt0s16.",
        r"[A-Z0-9]{8,24}\.[A-Z0-9]{60,}",
    ),
    # The third letter differs from key to key.
    Token("honeycomb_key", "hc", r"[a-z](?:ik|ic|mk)_[a-z0-9]{50,}"),
    Token("axiom_token", "xaat- xapt-", UUID),
    Token("logfire_token", "pylf_v", r"[0-9]_(?:[a-z]{2}_)?[A-Za-z0-9]{40,}"),
    Token("sentry_token", "sntrys_ sntryu_", r"[A-Za-z0-9+/=_-]{40,}", ""),
    Token("posthog_api_key", "phx_", r"[A-Za-z0-9]{40,}"),
    Token("launchdarkly_key", "sdk- api-", UUID, WORD),
)

SERVICES: Final = (
    Token("slack_token", "xox", r"[a-z](?:\.x(?:ox[a-z]|app))?-(?=[A-Za-z-]{0,64}[0-9])[\w-]{10,}"),
    Token("slack_token", "xapp-", r"[0-9]-[\w-]{20,}"),
    Token("slack_token", "xwfp-", r"(?=[A-Za-z-]{0,64}[0-9])[\w-]{20,}"),
    Token("discord_bot_token", DISCORD_HEADS, r"[\w-]{21,26}\.[\w-]{6}\.[\w-]{27,}", WORD),
    Token("matrix_token", "syt_", r"[A-Za-z0-9+/=]{1,128}_[A-Za-z]{20}_[A-Za-z0-9]{6}"),
    Token("firebase_messaging_key", ":APA91b", r"[\w-]{100,}", ""),
    Token("facebook_token", "EAAC EAAM EAAA EAAB EAAG EAAD", r"[A-Za-z0-9]{90,}"),
    Token("instagram_token", "IGQVJ", r"[\w-]{80,}"),
    Token("telnyx_api_key", "KEY01", r"[0-9A-F]{30}_[A-Za-z0-9]{20,}"),
    Token("twilio_api_key", "SK", r"[0-9a-f]{32,}"),
    Token("sendgrid_api_key", "SG.", r"[\w-]{16,64}\.[\w-]{16,}"),
    Token("mailgun_api_key", "key-", r"[0-9a-f]{32,}", WORD),
    Token("brevo_api_key", "xkeysib- xsmtpsib-", r"[0-9a-f]{64}-[A-Za-z0-9]{16}"),
    Token("resend_api_key", "re_", r"[A-Za-z0-9]{8}_[A-Za-z0-9]{20,}", WORD),
    Token("stripe_key", "sk_live_ rk_live_ sk_test_ rk_test_ sk_org_",
          r"(?:live_|test_)?[A-Za-z0-9]{16,}"),
    Token("stripe_webhook_secret", "whsec_", r"[A-Za-z0-9+/]{24,}={0,2}", ""),
    Token("square_token", "sq0atp- sq0csp- sq0csb-", r"[\w-]{22,}"),
    Token("square_access_token", "EAAAE EAAAl", r"[\w-]{56,}"),
    Token("paypal_braintree_token", "access_token$production$ access_token$sandbox$",
          r"[0-9a-z]{16}\$[0-9a-f]{32}", ""),
    Token("adyen_api_key", "AQE", r"[\w+/=-]{60,200}\.[A-Za-z0-9+/=?!_*%&<>^(){}\[\]-]{20,}"),
    Token("paddle_api_key", "pdl_live_apikey_ pdl_sdbx_apikey_", r"\w{40,}"),
    Token("polar_token", "polar_oat_ polar_pat_ polar_at_u_ polar_at_o_ polar_rt_u_ polar_rt_o_",
          r"[\w-]{30,}"),
    Token("razorpay_key", "rzp_live_ rzp_test_", r"[A-Za-z0-9]{14,}"),
    Token("flutterwave_key", "FLWSECK_TEST- FLWSECK-", r"[0-9a-hA-H]{12,32}(?:-X)?"),
    Token("plaid_token", "access-sandbox- access-development- access-production-", UUID),
    Token("shippo_token", "shippo_live_ shippo_test_", r"[0-9a-f]{40}"),
    Token("easypost_key", "EZAK EZTK", r"[A-Za-z0-9]{50,}"),
    Token("duffel_token", "duffel_live_ duffel_test_", r"[\w=-]{43}"),
    Token("shopify_token", "shpat_ shpca_ shppa_ shpss_", r"[0-9a-fA-F]{28,}", ""),
    Token("linear_api_key", "lin_api_ lin_oauth_", r"[A-Za-z0-9]{32,}", ""),
    Token("notion_token", "ntn_ secret_", r"[A-Za-z0-9]{40,}"),
    Token("hubspot_token", "pat-na1- pat-na2- pat-na3- pat-eu1- pat-ap1-", UUID),
    Token("intercom_token", "dG9rO", r"[A-Za-z0-9+/]{50,}={0,2}"),
    Token("salesforce_session", "00D", r"[A-Za-z0-9]{12,15}![\w.]{60,}", WORD),
    Token("zoho_token", "1000.", r"[0-9a-f]{32}\.[0-9a-f]{32}"),
    Token("typeform_token", "tfp_", r"[\w.=-]{50,}"),
    Token("figma_token", "figd_ figu_ figoh_", r"[\w-]{36,}"),
    Token("frameio_token", "fio-u-", r"[\w=-]{60,}"),
    Token("adobe_client_secret", "p8e- p8-", r"[\w-]{32,}", WORD),
    Token("mapbox_token", "sk.eyJ tk.eyJ", r"[\w-]{20,2048}+\.[\w-]{20,}"),
    Token("readme_api_key", "rdme_", r"[a-z0-9]{70}"),
    Token("postman_api_key", "PMAK-", r"[0-9a-f]{24}-[0-9a-f]{30,}"),
    Token("wakatime_api_key", "waka_", UUID),
    Token("cal_api_key", "cal_live_", r"[0-9a-f]{32}"),
    Token("clickup_token", "pk_", r"[0-9]{4,12}_[A-Z0-9]{32}", WORD),
    Token("zuplo_api_key", "zpka_", r"[0-9a-f]{32}_[0-9a-f]{8}"),
    Token("age_secret_key", "AGE-SECRET-KEY-", r"1[A-Z0-9]{50,}", ""),
    # Our own, of `serve`.
    Token("khive_token", "khive_", r"[\w-]{43}(?![\w-])"),
)  # fmt: skip

TOKENS: Final = (*FORGES, *MODELS, *CLOUDS, *DATA, *SERVICES)

INFIXES: Final = (
    Infix("terraform_token", ".atlasv1.", 14, r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{40,}"),
    Infix("azure_client_secret", "q~", 4, r"[A-Za-z0-9_~.]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,40}"),
    Infix("azure_devops_token", "azdo", 76, r"[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}"),
    Infix("azure_ai_key", "jqqj99", 52, r"[A-Za-z0-9]{52}JQQJ99[A-Za-z0-9]{26}"),
    Infix("azure_storage_key", "+ast", 76, r"[A-Za-z0-9+/]{76}\+ASt[A-Za-z0-9+/]{5,6}={0,2}"),
    Infix("azure_batch_key", "+aba", 76, r"[A-Za-z0-9+/]{76}\+ABa[A-Za-z0-9+/]{5,6}={0,2}"),
    Infix("azure_cosmos_key", "acdb", 76, r"[A-Za-z0-9+/]{76}ACDb[A-Za-z0-9+/]{5,6}={0,2}"),
    Infix("azure_search_key", "azse", 42, r"[A-Za-z0-9]{42}AzSe[A-D][A-Za-z0-9]{5}"),
    Infix("azure_functions_key", "azfu", 44, r"[\w-]{44}AzFu[\w-]{8}"),
    Infix("azure_iot_key", "aiot", 33, r"[A-Za-z0-9+/]{33}AIoT[A-Za-z0-9+/]{5,6}="),
    Infix("azure_registry_key", "+acr", 42, r"[A-Za-z0-9+/]{42}\+ACR[A-D][A-Za-z0-9+/]{5}"),
    Infix(
        "mailchimp_api_key",
        "-us1 -us2 -us3 -us4 -us5 -us6 -us7 -us8 -us9",
        32,
        r"[0-9a-f]{32}-us[1-9][0-9]?",
    ),
)

# Kinds of which the form alone is enough.
FORMS: Final = frozenset(row.kind for row in (*TOKENS, *INFIXES))
