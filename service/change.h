/* change.h - what is in force: which models, which prices are frozen, and who made it so. Numbered, persisted, recorded.
 *
 *   DATA_DIR/models/N/          the models of change N: copies, which no edit can reach; the last CHANGE_MODELS_KEPT of them
 *   DATA_DIR/models/stage.X/    models that somebody brought, not yet in force
 *   DATA_DIR/change.json        the change in force: replaced as a whole
 *   DATA_DIR/changes.ndjson     every change, the newest last, bounded
 *
 *   staged --> every worker has them ready --> change.json --> a batch that carries the number --> workers, lines
 *
 * Owner      prepare at a start, afterwards the gateway: one process at a time writes. Staging is anybody's who may write
 *            in the folder.
 * Crash      change.json decides: who dies before it was replaced comes back on the change before, who dies after it on
 *            the new one. The gateway hands the number in force to all workers when it starts. */
#ifndef SERVICE_CHANGE_H
#define SERVICE_CHANGE_H

#include "pricing/json_text.h"
#include "service/config.h"
#include "service/data_dir.h"

#include <rialto/layout.h>
#include <rialto/status.h>
#include <stdbool.h>
#include <stdint.h>

#define CHANGE_FREEZES_MAX 64u
#define CHANGE_MODELS_KEPT 16u
#define CHANGE_WHO_MAX     64u
#define CHANGE_WHAT_MAX    320u
#define CHANGE_NOTE_MAX    120u /* bytes of somebody's own words in it */

enum freeze_by { FREEZE_SKU, FREEZE_CATEGORY, FREEZE_ZONE };
struct freeze {
    enum freeze_by by;
    char pattern[RIALTO_ID_MAX]; /* a name; of a sku or category also the beginning of one before a star */
    bool to_list;                /* else to its last value */
};

struct change {
    uint64_t number;      /* from 1; 0 = none yet */
    uint64_t models;      /* the change that brought them: the name of their folder */
    uint64_t source_hash; /* of models_dir when it was last taken: an unchanged folder is not taken again */
    bool pinned;          /* no other models come into force until this is taken back */
    enum rialto_mode mode;
    uint32_t freeze_count;
    struct freeze freeze[CHANGE_FREEZES_MAX];
    int64_t when_ms; /* Unix ms, wall clock */
    char who[CHANGE_WHO_MAX];
    char what[CHANGE_WHAT_MAX];
};

/* change_load - what is in force. RIALTO_OK, NOT_FOUND (nothing yet), REFUSED (the file is not what was written). */
enum rialto_status change_load(const struct config *config, struct change *ret);

/* change_save - from now on this is in force, and recorded. False after a log line: then nothing changed. */
bool change_save(const struct config *config, const struct change *change);

/* change_models_path - the folder of a change's models. change_stage_path - of staged ones; false if `stage` is no name
 * of a stage ("stage." and up to 20 letters or digits). */
void change_models_path(const struct config *config, uint64_t models, char ret[DATA_PATH_MAX]);
bool change_stage_path(const struct config *config, const char *stage, char ret[DATA_PATH_MAX]);

/* change_stage - copy the *.json of a folder to a stage, which is emptied first. change_stage_drop - it is not needed any more.
 * Fault and REFUSED if a file cannot be read or written. */
enum rialto_status change_stage(const struct config *config, const char *folder, const char *stage, struct fault *fault);
void change_stage_drop(const struct config *config, const char *stage);

/* change_stage_empty - a stage without files, for who writes them there himself; fault and REFUSED if it cannot be made.
 * change_is_model_name - would a file of this name be taken? */
enum rialto_status change_stage_empty(const struct config *config, const char *stage, char ret_folder[DATA_PATH_MAX],
                                      struct fault *fault);
bool change_is_model_name(const char *name);

/* change_adopt - a stage becomes the models of change `number`; older ones than are kept are removed, save those in
 * `keep`. False after a log line. */
bool change_adopt(const struct config *config, const char *stage, uint64_t number, const struct change *keep);

/* change_has_models - are they kept? change_models_before - the models that were in force before the present ones came;
 * 0 = none are kept. */
bool change_has_models(const struct config *config, uint64_t models);
uint64_t change_models_before(const struct config *config, const struct change *change);

/* change_listed - did every quote stand at list price (mode list) at some moment from from_ms up to, not including, to_ms, as far as the record
 * of changes tells? By the clock that when_ms is of. */
enum change_listed { CHANGE_LISTED_NOT, CHANGE_LISTED_UNKNOWN, CHANGE_LISTED };
enum change_listed change_listed(const struct config *config, int64_t from_ms, int64_t to_ms);

/* change_folder_hash - says whether two folders hold the same model files. 0 = it cannot be read. */
uint64_t change_folder_hash(const char *folder);

/* change_mode_name - "normal", "list", "frozen". freeze_by_name - "sku", "category", "zone". */
const char *change_mode_name(enum rialto_mode mode);
const char *freeze_by_name(enum freeze_by by);

/* freeze_fault - NULL, or why no price can be meant by this. freeze_covers - a sku or a category: it is this one, lies inside this
 * category ("fresh" and "fresh/(star)" mean the same), or begins with what stands before the star. Zones: change_hold(). */
const char *freeze_fault(const struct freeze *freeze);
bool freeze_covers(const struct freeze *freeze, const char *name);
#endif
