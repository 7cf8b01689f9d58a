# shellcheck shell=bash
# Apache Kafka as it is on Maven Central: the broker's jar with its dependencies. Only ./check needs it.

part_kafka() {
    local folder=$CACHE/kafka pom=$REPO/deploy/dev/kafka/pom.xml version
    version=$(sha256sum "$pom" | cut -c1-16)
    part_is kafka "$version" "$folder/libs" && return 0
    part_java
    part_say kafka "Apache Kafka with its dependencies from Maven Central, for the end-to-end tests"
    rm -rf "$folder/libs"
    part_log kafka mvn -B -q -f "$pom" dependency:copy-dependencies -DoutputDirectory="$folder/libs" -DincludeScope=runtime ||
        part_fail kafka "Maven can't deliver Kafka" "Maven Central must be reachable (settings: ~/.m2/settings.xml)"
    part_stamp kafka "$version"
}
