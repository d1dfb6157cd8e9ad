/** Settings of the keys that sign, of who cosigns, and of what the store must not fall behind. */
import { parseKeySources } from '../key-source.ts';
import { duration, pathOrNone, setting } from './setting.ts';

export const SIGNING = {
  log_key: setting({
    expected: 'empty, or paths of private keys and exec:COMMAND, separated by commas',
    parse: parseKeySources,
    initial: '',
    meaning:
      'the keys that sign checkpoints, each where governance names it; empty: `log.pem` in `data`, if it is there',
    shown: withoutParameters,
    metric: 'registry_write_gate{gate="checkpoint"}',
    reload: 'a key is opened once',
  }),
  witness_policy: setting({
    ...pathOrNone(),
    meaning:
      'a C2SP tlog-policy file: the witnesses that are asked to cosign each checkpoint, and how many must have before the first write after a start; empty: none',
    metric: 'registry_witness_requests_total',
    reload: 'who cosigns is decided at the start',
  }),
  recosign_interval: setting({
    ...duration({ min: '10s', max: '24h' }),
    initial: '5m',
    meaning:
      'a cosignature is asked for again at this age, so that readers see how fresh the head is',
    metric: 'registry_cosignature_age_seconds',
    reload: 'who cosigns is decided at the start',
  }),
  clock_key: setting({
    expected: 'empty, or the path of a private key or exec:COMMAND',
    parse: (text) => {
      const sources = parseKeySources(text);
      return sources === undefined || sources.length > 1 ? undefined : (sources[0] ?? null);
    },
    initial: '',
    meaning:
      'the key of the clock, a cosigner of its own that says every few seconds that the head is still the newest; empty: no clock',
    shown: withoutParameters,
    metric: 'registry_cosignature_age_seconds',
    reload: 'a key is opened once',
  }),
  clock_name: setting({
    expected: 'empty, or a name without spaces and + such as registry.example.com/clock',
    parse: (text) => (/^[^\s+\p{Cc}]{0,255}$/u.test(text) ? text : undefined),
    initial: '',
    meaning: 'the name of the clock among cosigners; empty: the origin and /clock',
    metric: 'registry_cosignature_age_seconds',
    reload: 'a cosigner keeps its name',
  }),
  clock_interval: setting({
    ...duration({ min: '1s', max: '10m' }),
    initial: '5s',
    meaning: 'how often the clock signs',
    metric: 'registry_cosignature_age_seconds',
    reload: 'who cosigns is decided at the start',
  }),
  high_water: setting({
    ...pathOrNone(),
    meaning:
      'a file outside `data` and its backups that keeps the newest checkpoint, so that a restored older database is not written to; not for a micronode; empty: none',
    metric: 'registry_high_water_kept',
    reload: 'it is compared at the start',
  }),
};

/** A program's parameters may be a secret to it, though other users of the machine can see them. */
function withoutParameters(text: string): string {
  return text.replace(/(exec:\s*[^\s,]+)\s+[^\s,][^,]*/g, '$1 ***');
}
