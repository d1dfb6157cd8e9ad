/** Settings of how much of the log is kept. */
import { APPLIES, bytes, duration, integer, setting } from './setting.ts';

export const RETENTION = {
  retention_age: setting({
    ...duration({ min: '0s', max: '36500d' }),
    initial: '0s',
    meaning:
      'entries committed longer ago are pruned: payloads and approvals go, hashes, leaves and governance stay; 0s: none for their age',
    metric: 'registry_oldest_version',
    reload: APPLIES,
  }),
  retention_entries: setting({
    ...integer({ min: '0', max: '1000000000000' }),
    initial: '0',
    meaning: 'entries that are kept whole, the newest; older ones are pruned; 0: all',
    metric: 'registry_oldest_version',
    reload: APPLIES,
  }),
  retention_size: setting({
    ...bytes({ min: '0B', max: '1PiB' }),
    initial: '0B',
    meaning: 'bytes of payloads that are kept, the newest; older ones are pruned; 0B: all',
    metric: 'registry_oldest_version',
    reload: APPLIES,
  }),
  archive: setting({
    expected: 'at most 256 printable ASCII characters',
    parse: (text) => (/^[\x20-\x7e]{0,256}$/.test(text) ? text : undefined),
    initial: '',
    meaning:
      'where pruned entries can be had, such as the URL of a mirror, for whoever asks this server for one; empty: not said',
    metric: 'none: it is only told',
    reload: 'answers that name it are cached',
  }),
};
