/** Settings of blobs: whether there are any, and how much of them. */
import { APPLIES, bytes, choice, duration, setting } from './setting.ts';

export const BLOBS = {
  blobs: setting({
    ...choice(['off', 'on']),
    initial: 'off',
    meaning:
      'whether `/blobs` keeps bytes under their hash, in `data/blobs`, for descriptors to name; not for a micronode',
    metric: 'registry_blobs',
    reload: 'a route is there from the start, or not',
  }),
  max_blob_bytes: setting({
    ...bytes({ min: '1KiB', max: '1TiB' }),
    initial: '1GiB',
    meaning: 'the size of one blob',
    metric: 'rejected_total{reason="too_large"}',
    reload: APPLIES,
  }),
  blob_quota: setting({
    ...bytes({ min: '1KiB', max: '1PiB' }),
    initial: '10GiB',
    meaning: 'the size of all blobs, those that are arriving included',
    metric: 'registry_blob_bytes',
    reload: APPLIES,
  }),
  blob_grace: setting({
    ...duration({ min: '1m', max: '10000h' }),
    initial: '24h',
    meaning:
      'a blob that no retained version and no proposal names is removed when it was put last before this long',
    metric: 'blobs_collected_total',
    reload: APPLIES,
  }),
};
