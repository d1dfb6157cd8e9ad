/** Settings of who may act, and of what is told about it: operator acts, tokens, log, traces, audit. */
import { parseHttpUrl } from '../config-values.ts';
import { LOG_LEVELS } from '../log.ts';
import { parseTokenKeys } from '../token-key.ts';
import { APPLIES, bytes, choice, pathOrNone, setting } from './setting.ts';

export const ACCESS = {
  operator_listen: setting({
    expected: 'auto, off, or the path of a Unix socket with a / in it, such as ./operator.sock',
    // Without one it would be an address, or a word for off, that somebody meant.
    parse: (text) => {
      const isPath = text.includes('/') && !text.includes('\0');
      return isPath || text === 'auto' || text === 'off' ? text : undefined;
    },
    initial: 'auto',
    meaning:
      'where operator acts are taken: freeze, thaw, reload, snapshot, compact; auto: `operator.sock` in `data`, off for a micronode without `data`',
    metric: 'audit_records_total',
    reload: 'a listener keeps its address',
  }),
  token_key: setting({
    expected: 'empty, or public keys as `quorate token keygen` prints them, separated by commas',
    parse: parseTokenKeys,
    initial: '',
    meaning:
      'whose access tokens open the write routes; empty: no tokens, and writes are open on loopback and Unix sockets only',
    metric: 'token_checks_total',
    reload: APPLIES,
  }),
  token_revocations: setting({
    ...pathOrNone(),
    meaning:
      'a file of revocation ids, one a line, as `quorate token revoke` writes it; read at the start, at a reload and when it changes; empty: none',
    metric: 'token_checks_total{result="refused"}',
    reload: APPLIES,
  }),
  log_level: setting({
    ...choice(LOG_LEVELS),
    initial: 'info',
    meaning: 'least level of the JSON lines on standard error',
    metric: 'none: the log itself shows it',
    reload: APPLIES,
  }),
  trace_endpoint: setting({
    expected: 'empty, or a URL such as http://127.0.0.1:4318/v1/traces',
    parse: parseHttpUrl,
    initial: '',
    meaning:
      'where spans are sent as OTLP over HTTP; needs the optional OpenTelemetry packages; empty: no tracing',
    // What a collector takes as a key often stands there, and what it does not take as a password.
    shown: (text) => (text.includes('@') ? '***' : text.replace(/[?#].*/s, '?***')),
    metric: 'none: the collector shows it',
    reload: 'the tracer is made at the start',
  }),
  audit_max_size: setting({
    ...bytes({ min: '1MiB', max: '1TiB' }),
    initial: '256MiB',
    meaning:
      'the audit log in `data/audit` is kept to about this size, the oldest records going first; a micronode writes its audit log to standard output and keeps none',
    metric: 'audit_records_total',
    reload: APPLIES,
  }),
};
