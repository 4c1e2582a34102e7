-- A value of JSON as text that compares and sorts as SQLite compares and sorts it: missing values
-- are NULL, numbers come before text. A number is the bits of its double, turned so that they sort,
-- and the distance to it of a whole number that no double is.
CREATE FUNCTION khive.number_key(number numeric) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    nearest double precision;
    bits bigint;
    distance integer := 0;
BEGIN
    nearest := CASE WHEN abs(number) < 1.7976931348623158e308 THEN number::double precision
                    WHEN number < 0 THEN '-infinity' ELSE 'infinity' END;
    IF abs(number) >= 9007199254740992 AND trunc(number) = number
        AND number BETWEEN -9223372036854775808 AND 9223372036854775807 THEN
        -- No bigint is the double nearest to the largest ones.
        distance := number - CASE WHEN nearest >= 9223372036854775808 THEN 9223372036854775808
                                  ELSE nearest::bigint::numeric END;
    END IF;
    bits := ('x' || encode(float8send(nearest), 'hex'))::bit(64)::bigint;
    bits := CASE WHEN bits < 0 THEN ~bits ELSE bits # (-9223372036854775808) END;
    RETURN '1' || lpad(to_hex(bits), 16, '0') || lpad(to_hex(distance + 32768), 4, '0');
END
$$;

-- In plpgsql: PostgreSQL does not inline a strict function in SQL, and calling it takes four times as
-- long. A number from 0 to 2^53 is the common one: its key is its double with the sign turned.
CREATE FUNCTION khive.key(value jsonb) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    bytes bytea;
BEGIN
    CASE jsonb_typeof(value)
        WHEN 'string' THEN
            RETURN '2' || (value #>> '{}');
        WHEN 'number' THEN
            IF value::numeric >= 0 AND value::numeric < 9007199254740992 THEN
                bytes := float8send(value::double precision);
                RETURN '1' || encode(set_byte(bytes, 0, get_byte(bytes, 0) | 128), 'hex') || '8000';
            END IF;
            RETURN khive.number_key(value::numeric);
        WHEN 'boolean' THEN
            RETURN khive.number_key(CASE value WHEN 'true' THEN 1 ELSE 0 END);
        WHEN 'null' THEN
            RETURN NULL;
        ELSE
            RETURN '2' || value::text;
    END CASE;
END
$$;

-- The key of a value, and which of two equal numbers is a float: with a character more, after all
-- that sorts.
CREATE FUNCTION khive.shown_key(value jsonb) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    IF jsonb_typeof(value) = 'number' AND scale(value::numeric) > 0
        AND trunc(value::numeric) = value::numeric THEN
        RETURN khive.key(value) || '0';
    END IF;
    RETURN khive.key(value);
END
$$;

-- The value that such a key stands for, as JSON.
CREATE FUNCTION khive.value(key text) RETURNS json
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    bits bigint;
    sign integer;
    exponent integer;
    mantissa bigint;
    nearest double precision;
    distance integer;
BEGIN
    IF left(key, 1) = '2' THEN
        RETURN to_json(substr(key, 2));
    END IF;
    bits := ('x' || substr(key, 2, 16))::bit(64)::bigint;
    bits := CASE WHEN bits < 0 THEN bits # (-9223372036854775808) ELSE ~bits END;
    sign := CASE WHEN bits < 0 THEN -1 ELSE 1 END;
    exponent := ((bits >> 52) & 2047)::integer;
    mantissa := bits & 4503599627370495;
    IF exponent = 2047 THEN
        RETURN to_json(CASE WHEN sign < 0 THEN '-Infinity' ELSE 'Infinity' END);
    END IF;
    IF exponent = 0 THEN
        nearest := sign * (mantissa::double precision * 2.0::double precision ^ (-1022)) * 2.0 ^ (-52);
    ELSE
        nearest := sign * (1 + mantissa::double precision / 4503599627370496)
            * 2.0::double precision ^ (exponent - 1023);
    END IF;
    IF length(key) = 22 THEN
        RETURN CASE WHEN nearest::text ~ '[.e]' THEN nearest::text ELSE nearest::text || '.0' END;
    END IF;
    distance := ('x' || substr(key, 18, 4))::bit(16)::integer - 32768;
    IF nearest = 9223372036854775808 AND distance < 0 THEN
        RETURN to_json(9223372036854775808::numeric + distance);
    END IF;
    IF nearest >= -9223372036854775808 AND nearest < 9223372036854775808 AND trunc(nearest) = nearest
    THEN
        RETURN to_json(nearest::bigint::numeric + distance);
    END IF;
    RETURN to_json(nearest);
END
$$;

CREATE FUNCTION khive.number(value jsonb) RETURNS double precision
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE jsonb_typeof(value)
        WHEN 'number' THEN (value #>> '{}')::double precision
        WHEN 'boolean' THEN CASE value WHEN 'true' THEN 1 ELSE 0 END
    END
$$;
