#include "util/digest.h"

#define BLOCK 64u /* bytes that SHA-256 takes at a time */

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>

#define EBX_SHA  (1u << 29) /* of CPUID leaf 7 */
#define ECX_SSE4 (1u << 19) /* SSE4.1, of leaf 1 */

/* FIPS 180-4, 4.2.2: first 32 bits of the fractional parts of the cube roots of the primes. */
static const uint32_t constants[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
	0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
	0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
	0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
	0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
	0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
	0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
	0xc67178f2,
};

bool sha256_both_pays(void)
{
	unsigned a, b, c, d;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & ECX_SSE4))
		return false;
	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & EBX_SHA);
}

/* A state as the instructions want it: words a b e f and c d g h, the first one on top. */
struct halves {
	__m128i abef, cdgh;
};

__attribute__((target("sha,sse4.1"))) static struct halves load_state(const SHA256_CTX *c)
{
	const uint32_t *h = c->h;

	return (struct halves){ _mm_set_epi32((int)h[0], (int)h[1], (int)h[4], (int)h[5]),
		                _mm_set_epi32((int)h[2], (int)h[3], (int)h[6], (int)h[7]) };
}

__attribute__((target("sha,sse4.1"))) static void save_state(SHA256_CTX *c, const struct halves *s)
{
	uint32_t abef[4], cdgh[4];

	_mm_storeu_si128((__m128i *)(void *)abef, s->abef);
	_mm_storeu_si128((__m128i *)(void *)cdgh, s->cdgh);
	for (size_t i = 0; i < 2; i++) {
		c->h[i] = abef[3 - i];
		c->h[2 + i] = cdgh[3 - i];
		c->h[4 + i] = abef[1 - i];
		c->h[6 + i] = cdgh[1 - i];
	}
}

/* The instructions for one hash wait for each other most of the time: the second one fills the
 * gaps, and the message schedule, being that of the same bytes, is made once. */
__attribute__((target("sha,sse4.1"))) static void add_blocks(SHA256_CTX *a, SHA256_CTX *b,
                                                             const unsigned char *p, size_t n)
{
	const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
	struct halves x = load_state(a), y = load_state(b);

	for (; n; n--, p += BLOCK) {
		const struct halves x0 = x, y0 = y;
		__m128i w[4];

#pragma GCC unroll 16
		for (unsigned i = 0; i < 16; i++) {
			__m128i *at = &w[i % 4], k;

			if (i < 4) {
				*at = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i));
				*at = _mm_shuffle_epi8(*at, swap);
			} else {
				*at = _mm_sha256msg1_epu32(*at, w[(i + 1) % 4]);
				*at = _mm_add_epi32(
					*at, _mm_alignr_epi8(w[(i + 3) % 4], w[(i + 2) % 4], 4));
				*at = _mm_sha256msg2_epu32(*at, w[(i + 3) % 4]);
			}
			k = _mm_loadu_si128((const __m128i *)(const void *)(constants + 4 * i));
			k = _mm_add_epi32(k, *at);
			x.cdgh = _mm_sha256rnds2_epu32(x.cdgh, x.abef, k);
			y.cdgh = _mm_sha256rnds2_epu32(y.cdgh, y.abef, k);
			k = _mm_shuffle_epi32(k, 0x0e); /* the other two words */
			x.abef = _mm_sha256rnds2_epu32(x.abef, x.cdgh, k);
			y.abef = _mm_sha256rnds2_epu32(y.abef, y.cdgh, k);
		}
		x.abef = _mm_add_epi32(x.abef, x0.abef);
		x.cdgh = _mm_add_epi32(x.cdgh, x0.cdgh);
		y.abef = _mm_add_epi32(y.abef, y0.abef);
		y.cdgh = _mm_add_epi32(y.cdgh, y0.cdgh);
	}
	save_state(a, &x);
	save_state(b, &y);
}

#else

bool sha256_both_pays(void)
{
	return false;
}

static void add_blocks(SHA256_CTX *a, SHA256_CTX *b, const unsigned char *p, size_t n)
{
	SHA256_Update(a, p, n * BLOCK);
	SHA256_Update(b, p, n * BLOCK);
}

#endif

static void count(SHA256_CTX *c, size_t n)
{
	uint64_t bits = ((uint64_t)c->Nh << 32 | c->Nl) + ((uint64_t)n << 3);

	c->Nl = (SHA_LONG)bits;
	c->Nh = (SHA_LONG)(bits >> 32);
}

static void add_each(struct sha256 *a, struct sha256 *b, const void *p, size_t n)
{
	sha256_add(a, p, n);
	sha256_add(b, p, n);
}

void sha256_add_both(struct sha256 *a, struct sha256 *b, const void *p, size_t n)
{
	const unsigned char *from = p;
	size_t head = a->ctx.num ? BLOCK - a->ctx.num : 0, whole;

	if (a->ctx.num != b->ctx.num || n < head + BLOCK) {
		add_each(a, b, p, n);
		return;
	}
	if (head)
		add_each(a, b, from, head);
	from += head;
	n -= head;
	whole = n / BLOCK;
	add_blocks(&a->ctx, &b->ctx, from, whole);
	count(&a->ctx, whole * BLOCK);
	count(&b->ctx, whole * BLOCK);
	add_each(a, b, from + whole * BLOCK, n % BLOCK);
}
