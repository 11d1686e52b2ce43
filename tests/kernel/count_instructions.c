/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts the contents of a compiled BPF object without loading it: instructions of each program, those that
 * Linux 5.10 does not know, and bytes of stack. usage: count_instructions FILE.bpf.o... Prints FILE
 * SECTION INSTRUCTIONS NEWER STACK and each newer instruction; exits with 1 if there is any.
 */
#include <elf.h>
#include <fcntl.h>
#include <gelf.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HELPERS_5_10 155 /* bpf_redirect_peer, the last one of Linux 5.10 */
#define MODE(code)   ((code)&0xe0)

static const char *newer_arithmetic(const struct bpf_insn *insn)
{
	const unsigned class = BPF_CLASS(insn->code), op = BPF_OP(insn->code);

	if (op == BPF_MOV && insn->off != 0)
		return "sign-extending move (6.6)";
	if ((op == BPF_DIV || op == BPF_MOD) && insn->off != 0)
		return "signed division (6.6)";
	if (op == BPF_END && class == BPF_ALU64)
		return "unconditional byte swap (6.6)";
	return NULL;
}

static const char *newer_jump(const struct bpf_insn *insn)
{
	const unsigned class = BPF_CLASS(insn->code), op = BPF_OP(insn->code);

	if (class == BPF_JMP32 && op == BPF_JA)
		return "long jump (6.6)";
	if (op == 0xe0)
		return "may_goto (6.8)";
	if (op == BPF_CALL && insn->src_reg == 2)
		return "call of a kernel function (5.13)";
	if (op == BPF_CALL && insn->src_reg == 0 && insn->imm > HELPERS_5_10)
		return "helper newer than 5.10";
	return NULL;
}

/* NULL: Linux 5.10 knows it. */
static const char *newer(const struct bpf_insn *insn)
{
	switch (BPF_CLASS(insn->code)) {
	case BPF_ALU:
	case BPF_ALU64:
		return newer_arithmetic(insn);
	case BPF_JMP:
	case BPF_JMP32:
		return newer_jump(insn);
	case BPF_STX:
		return MODE(insn->code) == BPF_XADD && insn->imm != 0
			       ? "atomic operation other than an addition (5.12)"
			       : NULL;
	case BPF_LDX:
		return MODE(insn->code) == 0x80 ? "sign-extending load (6.6)" : NULL;
	case BPF_LD:
		return insn->code == (BPF_LD | BPF_IMM | BPF_DW) && insn->src_reg >= 4
			       ? "function pointer (5.13)"
			       : NULL;
	default:
		return NULL;
	}
}

/* The deepest stack offset that is stored to, loaded from or pointed to. */
static int stack_of(const struct bpf_insn *insn, const struct bpf_insn *before)
{
	const unsigned class = BPF_CLASS(insn->code);

	if ((class == BPF_STX || class == BPF_ST) && insn->dst_reg == BPF_REG_10)
		return -insn->off;
	if (class == BPF_LDX && insn->src_reg == BPF_REG_10)
		return -insn->off;
	if (before && before->code == (BPF_ALU64 | BPF_MOV | BPF_X) && before->src_reg == BPF_REG_10 &&
	    insn->code == (BPF_ALU64 | BPF_ADD | BPF_K) && insn->dst_reg == before->dst_reg)
		return -insn->imm;
	return 0;
}

static unsigned count_section(const char *file, const char *name, const Elf_Data *data)
{
	const struct bpf_insn *insns = data->d_buf;
	const size_t n = data->d_size / sizeof(*insns);
	unsigned n_newer = 0;
	int stack = 0;

	for (size_t i = 0; i < n; i++) {
		const char *why = newer(&insns[i]);
		const int deep = stack_of(&insns[i], i > 0 ? &insns[i - 1] : NULL);

		stack = deep > stack ? deep : stack;
		n_newer += why != NULL;
		if (why)
			printf("%s %s instruction %zu: %s\n", file, name, i, why);
		if (insns[i].code == (BPF_LD | BPF_IMM | BPF_DW))
			i++; /* it takes two slots */
	}
	printf("%s %s %zu %u %d\n", file, name, n, n_newer, stack);
	return n_newer;
}

/* The number of newer instructions; -1: not a BPF object. */
static int count_file(const char *file)
{
	const int fd = open(file, O_RDONLY | O_CLOEXEC);
	Elf *elf = fd >= 0 ? elf_begin(fd, ELF_C_READ, NULL) : NULL;
	Elf_Scn *section = NULL;
	size_t names = 0;
	int n = 0, n_sections = 0;

	while (elf && elf_getshdrstrndx(elf, &names) == 0 && (section = elf_nextscn(elf, section))) {
		GElf_Shdr header;

		if (!gelf_getshdr(section, &header) || header.sh_type != SHT_PROGBITS ||
		    !(header.sh_flags & SHF_EXECINSTR) || header.sh_size == 0)
			continue;
		n += (int)count_section(file, elf_strptr(elf, names, header.sh_name),
					elf_getdata(section, NULL));
		n_sections++;
	}
	(void)elf_end(elf);
	if (fd >= 0)
		(void)close(fd);
	return n_sections ? n : -1;
}

int main(int argc, char **argv)
{
	int bad = argc < 2;

	(void)elf_version(EV_CURRENT);
	for (int i = 1; i < argc; i++) {
		const int n = count_file(argv[i]);

		if (n < 0)
			fprintf(stderr, "%s is no BPF object\n", argv[i]);
		bad |= n != 0;
	}
	return bad;
}
